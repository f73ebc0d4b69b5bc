// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.LongHeap;

/** The search of one row: the classes that are still closed, and the results of the others. */
final class RowSearchState {
  /**
   * The denominator of the share of classes, at least {@link #LEAST}, after which a search checks
   * the others.
   */
  private static final int SOME = 64;

  private static final int LEAST = 16;

  final int row;

  /** The closed classes with allowed outputs, the most probable on top. */
  private final LongHeap closed = new LongHeap();

  private Candidates candidates;
  private AllowedSlots allowed;

  private int opened;

  /** The number of classes with allowed outputs. */
  private int classes;

  /** An upper bound of the joint probability of the outputs of opened classes. */
  private double probability;

  RowSearchState(int row) {
    this.row = row;
  }

  /**
   * Begins the search.
   *
   * @param byClass (rows, classes): log probabilities of the classes
   * @param room for the classes of all rows
   */
  void begin(Candidates found, AllowedSlots slots, Rows byClass, long[] room) {
    candidates = found;
    allowed = slots;
    opened = 0;
    probability = 0;
    int all = Math.toIntExact(byClass.stride());
    int first = row * all;
    int count = 0;
    for (int c = 0; c < all; c++) {
      float logProbability = byClass.get(row, c);
      if (Float.isNaN(logProbability)) {
        candidates.giveUp();
      }
      if (allowed.any(c)) {
        room[first + count++] = Candidates.encode(c, logProbability);
      }
    }
    closed.reset(room, first, count);
    classes = count;
  }

  /** Releases the results to the caller. */
  void end() {
    candidates = null;
    allowed = null;
  }

  Candidates candidates() {
    return candidates;
  }

  AllowedSlots allowed() {
    return allowed;
  }

  /** Returns how many classes were opened. */
  int opened() {
    return opened;
  }

  /** Returns an upper bound of the outputs of closed classes. */
  private float bound() {
    return Candidates.logProbability(closed.min());
  }

  boolean isDone() {
    return closed.isEmpty() || candidates.isUndefined() || candidates.isDone(bound());
  }

  /**
   * Returns whether the next class is needed, whatever was and will be found in those before it.
   */
  boolean needsNext() {
    return !closed.isEmpty() && candidates.needsMoreThan(probability, bound());
  }

  /**
   * Returns how many classes to open in a round, needed or not: as many as were opened before, or,
   * once the likeliest are open, all that are far from being ruled out if these are most classes.
   * Otherwise a search that rules out nothing takes longer than scoring all outputs.
   */
  int guesses() {
    if (opened < Math.max(LEAST, classes / SOME)) {
      return Math.max(1, opened);
    }
    int beyond = closed.countBelow(Candidates.encode(0, candidates.farAbove()));
    return 2 * beyond >= classes ? beyond : Math.max(1, opened);
  }

  /** Opens the most probable closed class. Returns its number. */
  int open(ClassTable table, Link link) {
    float logProbability = bound();
    int classNumber = (int) closed.removeMin();
    probability += link.most(table.size(classNumber)) * Math.exp(logProbability);
    opened++;
    return classNumber;
  }

  /**
   * Offers the allowed outputs of an opened class.
   *
   * @param divided the log probabilities for the ranking; the same array unless they are divided
   */
  void take(int classNumber, ClassTable table, float[] logProbabilities, float[] divided) {
    int[] members = table.members()[classNumber];
    if (allowed.all(classNumber)) {
      offer(members, logProbabilities, divided, 0, members.length);
    } else {
      allowed.forEachRun(
          classNumber, (begin, end) -> offer(members, logProbabilities, divided, begin, end));
    }
  }

  private void offer(int[] members, float[] logProbabilities, float[] divided, int begin, int end) {
    if (!candidates.isUndefined()) {
      candidates.offer(members, logProbabilities, divided, begin, end);
    }
  }
}
