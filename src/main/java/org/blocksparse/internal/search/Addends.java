// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.List;

/**
 * The scores that other scorers add to those of a search, for one row. The total of an output is
 *
 * <pre>weight * score of the search + (sum of sparse terms + weight * late score)</pre>
 *
 * <p>in double, rounded once. Each operation is monotonic, so upper bounds of the parts make an
 * upper bound of the total, in floating point as well. Sparse terms are computed at once, by class
 * of the search; late scores only for outputs that can change the ranking.
 */
public final class Addends {
  /** Log probabilities that are computed where they are needed. */
  public interface Late {
    /** An upper bound for the outputs of a class of the search. */
    float boundOfClass(int classNumber);

    /** An upper bound for an output that costs nothing. */
    float bound(int output);

    /** A closer upper bound, which costs less than the score. */
    float closerBound(int output);

    /** The log probability of an output. */
    float score(int output);
  }

  /** Makes the late scores of a row, given the classes of the search. */
  public interface LateMaker {
    Late of(int row, ClassTable classes);
  }

  /** Makes the addends of a row, given the classes of the search. */
  public interface Maker {
    Addends of(int row, ClassTable table, AllowedSlots allowed);
  }

  /**
   * The scale of scores.
   *
   * @param weight positive
   * @param isProbability whether probabilities are added, rather than their logarithms
   */
  public record Scale(double weight, boolean isProbability) {
    double of(float score) {
      return weight * (isProbability ? Math.exp(score) : score);
    }
  }

  private final ClassTable table;
  private final Scale scale;

  /** The sparse scores of class c are [begins[c], begins[c + 1]), in no order. */
  private final int[] begins;

  private int[] slots = new int[64];
  private double[] sparse = new double[64];

  /** For each class, an upper bound of the sparse scores of its allowed outputs. */
  private final double[] bounds;

  /** The sparse score of each slot of a class; 0 between calls. */
  private final double[] ofSlots;

  /** Null: there is none. */
  private final Late late;

  private final Scale lateScale;
  private boolean isUndefined;

  /**
   * Addends of a row.
   *
   * @param scale of the scores of the search
   * @param late null, as its scale: there are no late scores
   */
  public Addends(
      int row,
      ClassTable table,
      AllowedSlots allowed,
      Scale scale,
      List<SparseTerm> terms,
      Late late,
      Scale lateScale) {
    this.table = table;
    this.scale = scale;
    this.begins = new int[table.classes() + 1];
    this.bounds = new double[table.classes()];
    this.ofSlots = new double[table.slots()];
    this.late = late;
    this.lateScale = lateScale;
    if (!terms.isEmpty()) {
      try (SparseScores scores = new SparseScores(terms)) {
        sort(collect(row, scores));
      }
      Arrays.setAll(bounds, c -> bound(c, allowed));
    }
  }

  /**
   * Collects the outputs that have a sparse score, in {@code slots}; returns how many there are.
   */
  private int collect(int row, SparseScores scores) {
    int[] size = new int[1];
    scores.forEach(
        row,
        chunk -> true,
        (chunk, first, sums, n) -> {
          int count = size[0];
          if (count + n > slots.length) {
            slots = Arrays.copyOf(slots, 2 * (count + n));
            sparse = Arrays.copyOf(sparse, slots.length);
          }
          for (int q = 0; q < n; q++) {
            int output = first + q;
            if (sums[q] != 0 && output < table.outputs() && table.classOf()[output] >= 0) {
              isUndefined |= Double.isNaN(sums[q]);
              slots[count] = output;
              sparse[count++] = sums[q];
              begins[table.classOf()[output] + 1]++;
            }
          }
          size[0] = count;
        });
    return size[0];
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

  /** The maximum of the sparse scores of a class; at least 0, which most of its outputs have. */
  private double bound(int classNumber, AllowedSlots allowed) {
    int first = begins[classNumber];
    int last = begins[classNumber + 1];
    if (first == last) {
      return 0;
    }
    double[] max = new double[1];
    if (allowed.all(classNumber)) {
      for (int i = first; i < last; i++) {
        max[0] = Math.max(max[0], sparse[i]);
      }
    } else {
      allowed.forEachRun(
          classNumber,
          (begin, end) -> {
            for (int i = first; i < last; i++) {
              if (slots[i] >= begin && slots[i] < end) {
                max[0] = Math.max(max[0], sparse[i]);
              }
            }
          });
    }
    return max[0];
  }

  /** Whether a score is NaN: nothing can be said of the row. */
  public boolean isUndefined() {
    return isUndefined;
  }

  /** An upper bound of what is added to the score of an allowed output of a class. */
  public double bound(int classNumber) {
    return late == null
        ? bounds[classNumber]
        : bounds[classNumber] + lateScale.of(late.boundOfClass(classNumber));
  }

  /** The total of a score and what is added to it. */
  public float total(float score, double added) {
    return (float) (scale.of(score) + added);
  }

  /**
   * Offers slots [begin, end) of a class with their totals.
   *
   * @param scores of the slots, which are changed
   */
  public void offer(int classNumber, int begin, int end, float[] scores, Candidates found) {
    int[] members = table.members()[classNumber];
    for (int i = begins[classNumber]; i < begins[classNumber + 1]; i++) {
      ofSlots[slots[i]] = sparse[i];
    }
    if (late == null) {
      for (int q = begin; q < end; q++) {
        scores[q] = total(scores[q], ofSlots[q]);
      }
      found.offer(members, scores, scores, begin, end);
    } else {
      offerLate(members, begin, end, scores, found);
    }
    for (int i = begins[classNumber]; i < begins[classNumber + 1]; i++) {
      ofSlots[slots[i]] = 0;
    }
  }

  /** Computes late scores in descending order of bounds, until no other can change the ranking. */
  private void offerLate(int[] members, int begin, int end, float[] scores, Candidates found) {
    long[] bounds = new long[end - begin];
    int count = 0;
    for (int q = begin; q < end; q++) {
      float bound = total(scores[q], ofSlots[q] + lateScale.of(late.bound(members[q])));
      if (!found.isDone(bound)) {
        bounds[count++] = Candidates.encode(q, bound);
      }
    }
    LongHeap heap = new LongHeap().reset(bounds, 0, count);
    while (!heap.isEmpty()
        && !found.isUndefined()
        && !found.isDone(Candidates.logProbability(heap.min()))) {
      float bound = Candidates.logProbability(heap.min());
      int q = (int) heap.removeMin();
      float closer = total(scores[q], ofSlots[q] + lateScale.of(late.closerBound(members[q])));
      if (closer < bound) {
        heap.add(Candidates.encode(q, closer));
      } else {
        scores[q] = total(scores[q], ofSlots[q] + lateScale.of(late.score(members[q])));
        found.offer(members, scores, scores, q, q + 1);
      }
    }
  }
}
