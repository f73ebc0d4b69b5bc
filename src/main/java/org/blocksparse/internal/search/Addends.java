// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.List;

/**
 * The scores that other sources add to the scores of a search's leader, for one row. The total of
 * an output is
 *
 * <pre>
 * weight * score of the search + (sum of sparse terms + weight * score of another source + ...)
 * </pre>
 *
 * <p>in double, rounded once, with the other sources from the last one on. Each operation is
 * monotonic, so upper bounds of the parts make an upper bound of the total, in floating point as
 * well.
 *
 * <p><b>Structure.</b> Sparse scores are summed once, and sorted by the leader's classes. Scores of
 * other sources are random accesses ({@link ClassLookup}) in the threshold algorithm (Fagin, Lotem
 * and Naor, 2003): an output whose bound can change the ranking waits in a heap by that bound. The
 * highest bound is lowered step by step, and the output is offered when all its scores are known.
 *
 * <p><b>Cost.</b> A row takes time linear in the leader's classes and in the non-zero sparse
 * scores. Each slot of an opened class takes a bound; each output that waits, the logarithm of
 * their number for a step, and at most one class of each other source to open.
 */
final class Addends {
  /** Random access to another source, and its scale. */
  record Other(ClassLookup lookup, ScoreSource.Scale scale) {}

  private final ClassTable table;
  private final ScoreSource.Scale scale;

  /** The sparse scores of class c are [begins[c], begins[c + 1]), in no order. */
  private final int[] begins;

  private int[] slots = new int[0];
  private double[] sparse = new double[0];

  /** An upper bound of the sparse scores of the allowed outputs of each class. */
  private final double[] bounds;

  /** The sparse score of each slot of a class; 0 between calls. */
  private final double[] ofSlots;

  private final Other[] others;

  /**
   * The outputs that wait for a score of another source, by number, and the rest of their totals.
   */
  private int[] waiting = new int[0];

  private float[] scoresOfWaiting = new float[0];
  private double[] sparseOfWaiting = new double[0];
  private int waitingCount;

  /** The slots of a class whose scores in others are unknown. */
  private final int[] unknownSlots;

  private final int[] oneOutput = new int[1];
  private final float[] oneTotal = new float[1];

  /** The numbers of the waiting outputs, by upper bounds of their totals. */
  private final LongHeap byBound = new LongHeap().reset(new long[0], 0, 0);

  private boolean isUndefined;

  /**
   * The highest score that was too low to change the ranking without a sparse score; NaN if there
   * was none.
   */
  private float excluded = Float.NaN;

  /** The total of the excluded score. */
  private float excludedTotal;

  /**
   * Begins the addends of a row.
   *
   * @param scale the scale of the scores of the search
   * @param others which have begun the row; they are added from the last one on
   */
  Addends(
      int row,
      ClassTable table,
      AllowedSlots allowed,
      ScoreSource.Scale scale,
      List<SparseTerm> terms,
      Other[] others) {
    this.table = table;
    this.scale = scale;
    this.begins = new int[table.classes() + 1];
    this.bounds = new double[table.classes()];
    this.ofSlots = new double[table.slots()];
    this.others = others;
    this.unknownSlots = new int[others.length == 0 ? 0 : table.slots()];
    if (!terms.isEmpty()) {
      try (SparseScores scores = new SparseScores(terms)) {
        sort(collect(row, scores));
      }
      Arrays.setAll(bounds, c -> bound(c, allowed));
    }
    for (Other each : others) {
      isUndefined |= each.lookup.isUndefined();
    }
  }

  /** Collects the outputs that have a sparse score in {@code slots}. Returns their number. */
  private int collect(int row, SparseScores scores) {
    int[] size = new int[1];
    scores.forEach(
        row, chunk -> true, (chunk, first, sums, n) -> size[0] = collect(size[0], first, sums, n));
    return size[0];
  }

  /** Collects the outputs of a chunk after others. Returns their number together. */
  private int collect(int before, int first, double[] sums, int n) {
    if (before + n > slots.length) {
      slots = Arrays.copyOf(slots, 2 * (before + n));
      sparse = Arrays.copyOf(sparse, slots.length);
    }
    int[] classOf = table.classOf();
    int[] outputs = slots;
    double[] all = sparse;
    int count = before;
    int end = Math.min(n, table.outputs() - first);
    for (int q = 0; q < end; q++) {
      double sum = sums[q];
      if (sum != 0 && classOf[first + q] >= 0) {
        isUndefined |= Double.isNaN(sum);
        outputs[count] = first + q;
        all[count++] = sum;
        begins[classOf[first + q] + 1]++;
      }
    }
    return count;
  }

  /** Sorts the collected scores by class, by counting. */
  private void sort(int count) {
    for (int c = 0; c < table.classes(); c++) {
      begins[c + 1] += begins[c];
    }
    int[] next = Arrays.copyOf(begins, table.classes());
    int[] sortedSlots = new int[count];
    double[] sorted = new double[count];
    for (int i = 0; i < count; i++) {
      int at = next[table.classOf()[slots[i]]]++;
      sortedSlots[at] = table.slotOf()[slots[i]];
      sorted[at] = sparse[i];
    }
    slots = sortedSlots;
    sparse = sorted;
  }

  /**
   * Returns the maximum of the sparse scores of a class; at least 0, which most of its outputs
   * have.
   */
  private double bound(int classNumber, AllowedSlots allowed) {
    if (begins[classNumber] == begins[classNumber + 1]) {
      return 0;
    }
    double[] max = new double[1];
    if (allowed.all(classNumber)) {
      for (int i = begins[classNumber]; i < begins[classNumber + 1]; i++) {
        max[0] = Math.max(max[0], sparse[i]);
      }
    } else {
      spread(classNumber);
      allowed.forEachRun(
          classNumber,
          (begin, end) -> {
            for (int q = begin; q < end; q++) {
              max[0] = Math.max(max[0], ofSlots[q]);
            }
          });
      clear(classNumber);
    }
    return max[0];
  }

  /** Puts the sparse scores of a class into its slots. */
  private void spread(int classNumber) {
    for (int i = begins[classNumber]; i < begins[classNumber + 1]; i++) {
      ofSlots[slots[i]] = sparse[i];
    }
  }

  private void clear(int classNumber) {
    for (int i = begins[classNumber]; i < begins[classNumber + 1]; i++) {
      ofSlots[slots[i]] = 0;
    }
  }

  /** Returns whether a score is NaN: nothing can be said of the row. */
  boolean isUndefined() {
    return isUndefined;
  }

  /** Returns an upper bound of what is added to the score of an allowed output of a class. */
  double bound(int classNumber) {
    return withBoundOfClass(bounds[classNumber], classNumber);
  }

  /** Adds upper bounds of the other sources for a class to a sum. */
  private double withBoundOfClass(double sum, int classNumber) {
    double all = sum;
    for (int i = others.length - 1; i >= 0; i--) {
      all += others[i].scale.of(others[i].lookup.boundOfClass(classNumber));
    }
    return all;
  }

  /** Adds upper bounds of the other sources for an output, which cost nothing. */
  private double withBound(double sum, int output) {
    double all = sum;
    for (int i = others.length - 1; i >= 0; i--) {
      all += others[i].scale.of(others[i].lookup.bound(output));
    }
    return all;
  }

  /** Adds the scores of an output by the other sources. */
  private double withScore(double sum, int output) {
    double all = sum;
    for (int i = others.length - 1; i >= 0; i--) {
      all += others[i].scale.of(others[i].lookup.score(output));
    }
    return all;
  }

  /** Returns the first source that does not know an output; null: all do. */
  private ClassLookup unknownOrNull(int output) {
    for (Other each : others) {
      if (!each.lookup.isKnown(output)) {
        return each.lookup;
      }
    }
    return null;
  }

  /** Lowers the bound of a class and others, if it can; see {@link ClassLookup#advance}. */
  boolean advance(int classNumber) {
    boolean isLower = false;
    for (Other each : others) {
      isLower |= each.lookup.advance(classNumber);
    }
    return isLower;
  }

  /** Returns the total of a score and an addend. */
  float total(float score, double added) {
    return (float) (scale.of(score) + added);
  }

  /**
   * Offers the allowed slots of a class with their totals. With other sources, they wait for {@link
   * #offerNext}.
   *
   * @param scores the scores of the slots, which are changed
   */
  void offer(int classNumber, AllowedSlots allowed, float[] scores, Candidates found) {
    int[] members = table.members()[classNumber];
    spread(classNumber);
    if (allowed.all(classNumber)) {
      offer(classNumber, members, 0, members.length, scores, found);
    } else {
      allowed.forEachRun(
          classNumber, (begin, end) -> offer(classNumber, members, begin, end, scores, found));
    }
    clear(classNumber);
  }

  /**
   * Returns the total of an output without a positive sparse score; or an upper bound that cannot
   * change the ranking, which most have, and which saves their exponentials.
   */
  private float boundedTotal(float score, double added, Candidates found) {
    if (score <= excluded) {
      return excludedTotal;
    }
    float total = total(score, added);
    if (added == 0 && found.isDone(total)) {
      excluded = score;
      excludedTotal = total;
    }
    return total;
  }

  private void offer(
      int classNumber, int[] members, int begin, int end, float[] scores, Candidates found) {
    if (others.length > 0) {
      await(classNumber, members, begin, end, scores, found);
      return;
    }
    for (int q = begin; q < end; q++) {
      double added = ofSlots[q];
      scores[q] = added > 0 ? total(scores[q], added) : boundedTotal(scores[q], added, found);
    }
    if (!found.isUndefined()) {
      found.offer(members, scores, scores, begin, end);
    }
  }

  /** Offers slots whose scores are known, and lets others wait. */
  private void await(
      int classNumber, int[] members, int begin, int end, float[] scores, Candidates found) {
    int unknown = 0;
    double ofOthers = withBoundOfClass(0, classNumber); // most slots have no sparse score
    float excludedSlot = Float.NEGATIVE_INFINITY; // the score of one that adds as much
    for (int q = begin; q < end; q++) {
      double added = ofSlots[q] == 0 ? ofOthers : withBoundOfClass(ofSlots[q], classNumber);
      if (added <= ofOthers && scores[q] <= excludedSlot) {
        continue;
      }
      if (found.isDone(total(scores[q], added))) { // the bound of the class excludes most
        excludedSlot = added < ofOthers ? excludedSlot : scores[q];
        continue;
      }
      int output = members[q];
      if (found.isDone(total(scores[q], withBound(ofSlots[q], output)))) {
        continue;
      }
      if (unknownOrNull(output) == null) {
        offer(output, total(scores[q], withScore(ofSlots[q], output)), found);
      } else {
        unknownSlots[unknown++] = q;
      }
    }
    for (int i = 0; i < unknown; i++) { // after the known ones, which exclude many
      int q = unknownSlots[i];
      float bound = total(scores[q], withBound(ofSlots[q], members[q]));
      if (!found.isDone(bound)) {
        await(members[q], scores[q], ofSlots[q], bound);
      }
    }
  }

  private void await(int output, float score, double ofSparse, float bound) {
    if (waitingCount == waiting.length) {
      int size = Math.max(64, 2 * waitingCount);
      waiting = Arrays.copyOf(waiting, size);
      scoresOfWaiting = Arrays.copyOf(scoresOfWaiting, size);
      sparseOfWaiting = Arrays.copyOf(sparseOfWaiting, size);
    }
    waiting[waitingCount] = output;
    scoresOfWaiting[waitingCount] = score;
    sparseOfWaiting[waitingCount] = ofSparse;
    byBound.add(Candidates.encode(waitingCount++, bound));
  }

  /**
   * Lowers the highest bound of an output that waits for a score of another source, or computes the
   * score, or offers the output if all its scores are known.
   *
   * @param limit a bound of all outputs that do not wait yet
   * @return whether there was one that can change the ranking, and whose bound is at least the
   *     limit
   */
  boolean offerNext(float limit, Candidates found) {
    if (byBound.isEmpty() || found.isUndefined()) {
      return false;
    }
    float bound = Candidates.logProbability(byBound.min());
    if (bound < limit || found.isDone(bound)) {
      return false;
    }
    int i = (int) byBound.min();
    int output = waiting[i];
    ClassLookup unknown = unknownOrNull(output);
    if (unknown != null) {
      unknown.approach(output);
    }
    float closer = total(scoresOfWaiting[i], withBound(sparseOfWaiting[i], output));
    if (!(closer < bound) && unknown != null) {
      unknown.score(output);
      unknown = unknownOrNull(output);
      closer = total(scoresOfWaiting[i], withBound(sparseOfWaiting[i], output));
    }
    if (unknown != null || closer < bound) {
      byBound.replaceMin(Candidates.encode(i, closer));
    } else {
      byBound.removeMin();
      offer(output, total(scoresOfWaiting[i], withScore(sparseOfWaiting[i], output)), found);
    }
    return true;
  }

  private void offer(int output, float total, Candidates found) {
    if (!found.isUndefined()) {
      oneOutput[0] = output;
      oneTotal[0] = total;
      found.offer(oneOutput, oneTotal, oneTotal, 0, 1);
    }
  }
}
