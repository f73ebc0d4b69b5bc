// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import org.blocksparse.internal.Rows;

/** The search of one row: which classes are still closed, and what was found in the others. */
final class RowSearch {
  final int row;

  /** The classes that are not open and hold what is allowed, the likeliest on top. */
  private final LongHeap closed = new LongHeap();

  private Candidates candidates;
  private AllowedSlots allowed;
  private int opened;

  /** What the outputs of opened classes have together at most. */
  private double probability;

  RowSearch(int row) {
    this.row = row;
  }

  /**
   * Begins.
   *
   * @param byClass (rows, classes): log probabilities of the classes
   * @param room for the classes of all rows
   */
  void begin(Candidates found, AllowedSlots slots, Rows byClass, long[] room) {
    candidates = found;
    allowed = slots;
    opened = 0;
    probability = 0;
    int classes = Math.toIntExact(byClass.stride());
    int first = row * classes;
    int count = 0;
    for (int c = 0; c < classes; c++) {
      float logProbability = byClass.get(row, c);
      if (Float.isNaN(logProbability)) {
        candidates.giveUp();
      }
      if (allowed.any(c)) {
        room[first + count++] = Candidates.encode(c, logProbability);
      }
    }
    closed.reset(room, first, count);
  }

  /** Ends: what was found belongs to others now. */
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

  /** How many classes were opened. */
  int opened() {
    return opened;
  }

  /** What no output of a closed class exceeds. */
  private float bound() {
    return Candidates.logProbability(closed.min());
  }

  boolean isDone() {
    return closed.isEmpty() || candidates.isUndefined() || candidates.isDone(bound());
  }

  /** Whether the next class is needed, whatever was and will be found in those before it. */
  boolean needsNext() {
    return !closed.isEmpty() && candidates.needsMoreThan(probability, bound());
  }

  /** Opens the likeliest class that is closed, and tells which it is. */
  int open(ClassTable table, Link link) {
    float logProbability = bound();
    int classNumber = (int) closed.removeMin();
    probability += link.most(table.size(classNumber)) * Math.exp(logProbability);
    opened++;
    return classNumber;
  }

  /** Takes what is allowed of a class that was opened. */
  void take(int classNumber, ClassTable table, float[] logProbabilities) {
    int[] members = table.members()[classNumber];
    if (allowed.all(classNumber)) {
      offer(members, logProbabilities, 0, members.length);
      return;
    }
    allowed.forEachRun(classNumber, (begin, end) -> offer(members, logProbabilities, begin, end));
  }

  private void offer(int[] members, float[] logProbabilities, int begin, int end) {
    if (!candidates.isUndefined()) {
      candidates.offer(members, logProbabilities, begin, end);
    }
  }
}
