// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Which outputs of one row may be found, by class and slot.
 *
 * <p>A list of outputs becomes a list of slots for each class by counting, in time proportional to
 * its length and the number of classes: a search opens few classes, and looks only at the slots of
 * those.
 */
final class AllowedSlots {
  private static final int[] NOTHING = {};

  private final ClassTable table;

  /** Whether the slots that are listed are the only ones, or those that are left out. */
  private final boolean only;

  /**
   * Of class c, slots [begin[c], begin[c + 1]) are listed, in any order and any number of times;
   * null: none of any class.
   */
  private final int[] begin;

  private final int[] slots;

  private AllowedSlots(ClassTable table, boolean only, int[] begin, int[] slots) {
    this.table = table;
    this.only = only;
    this.begin = begin;
    this.slots = slots;
  }

  /** Takes slots [begin, end) of a class, all of which are allowed. */
  interface Run {
    void accept(int begin, int end);
  }

  /** All outputs. */
  static AllowedSlots all(ClassTable table) {
    return new AllowedSlots(table, false, null, NOTHING);
  }

  /**
   * Those that are listed, or all but those.
   *
   * @param outputs any number of times each
   */
  static AllowedSlots of(ClassTable table, boolean only, int[] outputs) {
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
    return new AllowedSlots(table, only, begin, slots);
  }

  private int listed(int classNumber) {
    return begin == null ? 0 : begin[classNumber + 1] - begin[classNumber];
  }

  /** Whether all outputs of a class are listed. */
  private boolean isFull(int classNumber) {
    if (listed(classNumber) == 0) {
      return false; // without a look at the table: so it is for nearly all classes
    }
    int size = table.size(classNumber);
    return listed(classNumber) >= size
        && Arrays.stream(slots, begin[classNumber], begin[classNumber + 1]).distinct().count()
            == size;
  }

  /** Whether a class holds an output that is allowed. */
  boolean any(int classNumber) {
    return only ? listed(classNumber) > 0 : !isFull(classNumber);
  }

  /** Whether all outputs of a class are allowed. */
  boolean all(int classNumber) {
    return only ? isFull(classNumber) : listed(classNumber) == 0;
  }

  /** Whether no output at all is allowed. */
  boolean none() {
    return only
        ? slots.length == 0
        : slots.length > 0
            && slots.length >= table.live()
            && IntStream.range(0, table.classes()).allMatch(this::isFull);
  }

  /** The allowed slots of a class, ascending, as few runs as there are. */
  void forEachRun(int classNumber, Run run) {
    int[] sorted =
        begin == null
            ? NOTHING
            : Arrays.copyOfRange(slots, begin[classNumber], begin[classNumber + 1]);
    Arrays.sort(sorted);
    int next = 0;
    for (int i = 0; i < sorted.length; ) {
      int first = sorted[i];
      int last = first;
      for (i++; i < sorted.length && sorted[i] <= last + 1; i++) {
        last = sorted[i];
      }
      if (only) {
        run.accept(first, last + 1);
      } else if (next < first) {
        run.accept(next, first);
      }
      next = last + 1;
    }
    if (!only && next < table.size(classNumber)) {
      run.accept(next, table.size(classNumber));
    }
  }
}
