// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;

/**
 * Outputs of a list, by class and slot.
 *
 * <p>They are sorted by class by counting, in time proportional to the length of the list and the
 * number of classes.
 */
final class SlotList {
  static final SlotList EMPTY = new SlotList(null, new int[0], true);

  /**
   * The bounds of each class: slots [begin[c], begin[c + 1]) of class c are listed, in any order
   * and any number of times. Null if no class has any.
   */
  private final int[] begin;

  private final int[] slots;

  /** Whether the slots of each class are ascending and distinct. */
  private final boolean ascending;

  private SlotList(int[] begin, int[] slots, boolean ascending) {
    this.begin = begin;
    this.slots = slots;
    this.ascending = ascending;
  }

  /**
   * Returns the places of outputs, without retired ones and numbers that no output has.
   *
   * @param outputs with repetitions
   */
  static SlotList of(ClassTable table, int[] outputs) {
    int[] begin = new int[table.classes() + 1];
    for (int output : outputs) {
      if (isThere(table, output)) {
        begin[table.classOf()[output]]++;
      }
    }
    int sum = 0;
    for (int c = 0; c < begin.length; c++) {
      sum += begin[c];
      begin[c] = sum; // the end of the class, from which it is filled down to its begin
    }
    int[] slots = new int[sum];
    for (int i = outputs.length - 1; i >= 0; i--) { // this keeps the order within a class
      if (isThere(table, outputs[i])) {
        slots[--begin[table.classOf()[outputs[i]]]] = table.slotOf()[outputs[i]];
      }
    }
    return new SlotList(begin, slots, false);
  }

  private static boolean isThere(ClassTable table, int output) {
    int[] classOf = table.classOf();
    return output >= 0 && output < classOf.length && classOf[output] >= 0;
  }

  /** Returns whether those of a class are ascending, each once. */
  boolean isAscending() {
    return ascending;
  }

  /**
   * Returns this list with the slots of each class ascending and unequal, which is faster to ask.
   */
  SlotList ascending() {
    int[] starts = new int[begin.length];
    int[] different = slots.clone();
    int count = 0;
    for (int c = 0; c + 1 < begin.length; c++) {
      Arrays.sort(different, begin[c], begin[c + 1]);
      for (int i = begin[c]; i < begin[c + 1]; i++) {
        if (i == begin[c] || different[i] != different[count - 1]) {
          different[count++] = different[i];
        }
      }
      starts[c + 1] = count;
    }
    return new SlotList(starts, Arrays.copyOf(different, count), true);
  }

  /** Returns how many are listed, repeats included. */
  int size() {
    return slots.length;
  }

  /** Returns how many of a class are listed, repeats included. */
  int count(int classNumber) {
    return begin == null ? 0 : begin[classNumber + 1] - begin[classNumber];
  }

  /** Returns a lower bound of the listed outputs of a class, in constant time. */
  int atLeast(int classNumber) {
    int count = count(classNumber);
    return ascending ? count : Math.min(1, count);
  }

  /** Returns whether all outputs of a class of that size are listed. */
  boolean isFull(int classNumber, int size) {
    if (ascending || count(classNumber) < size) {
      return count(classNumber) == size;
    }
    return Arrays.stream(slots, begin[classNumber], begin[classNumber + 1]).distinct().count()
        == size;
  }

  /** Returns the slots of a class, ascending, in a new array. */
  int[] sorted(int classNumber) {
    int[] sorted =
        begin == null
            ? new int[0]
            : Arrays.copyOfRange(slots, begin[classNumber], begin[classNumber + 1]);
    if (!ascending) {
      Arrays.sort(sorted);
    }
    return sorted;
  }
}
