// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;

/**
 * Outputs of a list, by class and slot.
 *
 * <p>They are sorted by class by counting, in time proportional to the length of the list and the
 * number of classes.
 */
final class SlotList {
  static final SlotList EMPTY = new SlotList(null, new int[0]);

  /**
   * Of class c, slots [begin[c], begin[c + 1]) are listed, in any order and any number of times;
   * null: none of any class.
   */
  private final int[] begin;

  private final int[] slots;

  private SlotList(int[] begin, int[] slots) {
    this.begin = begin;
    this.slots = slots;
  }

  /**
   * Where some outputs are.
   *
   * @param outputs any number of times each
   */
  static SlotList of(ClassTable table, int[] outputs) {
    int[] classOf = table.classOf();
    int[] begin = new int[table.classes() + 1];
    for (int output : outputs) {
      if (classOf[output] >= 0) { // else it is retired: nobody finds it anyway
        begin[classOf[output]]++;
      }
    }
    int sum = 0;
    for (int c = 0; c < begin.length; c++) {
      sum += begin[c];
      begin[c] = sum; // its end, from which it is filled down to its beginning
    }
    int[] slots = new int[sum];
    for (int output : outputs) {
      if (classOf[output] >= 0) {
        slots[--begin[classOf[output]]] = table.slotOf()[output];
      }
    }
    return new SlotList(begin, slots);
  }

  /** How many are listed, repeats included. */
  int size() {
    return slots.length;
  }

  /** How many of a class are listed, repeats included. */
  int count(int classNumber) {
    return begin == null ? 0 : begin[classNumber + 1] - begin[classNumber];
  }

  /** Whether all outputs of a class of that size are listed. */
  boolean isFull(int classNumber, int size) {
    return count(classNumber) >= size
        && Arrays.stream(slots, begin[classNumber], begin[classNumber + 1]).distinct().count()
            == size;
  }

  /** Those of a class, ascending, in a new array. */
  int[] sorted(int classNumber) {
    int[] sorted =
        begin == null
            ? new int[0]
            : Arrays.copyOfRange(slots, begin[classNumber], begin[classNumber + 1]);
    Arrays.sort(sorted);
    return sorted;
  }
}
