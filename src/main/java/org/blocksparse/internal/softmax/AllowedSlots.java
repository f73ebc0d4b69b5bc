// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;

/**
 * Which outputs of one row may be found, by class and slot.
 *
 * <p>A list of outputs becomes a list of slots for each class by counting, in time proportional to
 * its length and the number of classes: a search opens few classes, and looks only at the slots of
 * those.
 */
final class AllowedSlots {
  private final ClassTable table;

  /** Whether the slots that are listed are the only ones, or those that are left out. */
  private final boolean only;

  /** Of class c, slots [begin[c], begin[c + 1]) are listed, ascending and each once. */
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
    return new AllowedSlots(table, false, new int[table.classes() + 1], new int[0]);
  }

  /**
   * Those that are listed, or all but those.
   *
   * @param outputs any number of times each
   */
  static AllowedSlots of(ClassTable table, boolean only, int[] outputs) {
    int[] begin = new int[table.classes() + 1];
    for (int output : outputs) {
      begin[table.classOf()[output] + 1]++;
    }
    for (int c = 0; c < table.classes(); c++) {
      begin[c + 1] += begin[c];
    }
    int[] slots = new int[outputs.length];
    int[] next = Arrays.copyOf(begin, table.classes());
    for (int output : outputs) {
      slots[next[table.classOf()[output]]++] = table.slotOf()[output];
    }
    int kept = 0;
    for (int c = 0; c < table.classes(); c++) {
      int from = begin[c];
      int to = begin[c + 1];
      begin[c] = kept;
      if (to - from > 1) {
        Arrays.sort(slots, from, to);
      }
      for (int i = from; i < to; i++) {
        if (i == from || slots[i] != slots[i - 1]) {
          slots[kept++] = slots[i];
        }
      }
    }
    begin[table.classes()] = kept;
    return new AllowedSlots(table, only, begin, slots);
  }

  private int listed(int classNumber) {
    return begin[classNumber + 1] - begin[classNumber];
  }

  /** Whether a class holds an output that is allowed. */
  boolean any(int classNumber) {
    return only ? listed(classNumber) > 0 : listed(classNumber) < table.size(classNumber);
  }

  /** Whether all outputs of a class are allowed. */
  boolean all(int classNumber) {
    return only ? listed(classNumber) == table.size(classNumber) : listed(classNumber) == 0;
  }

  /** Whether no output at all is allowed. */
  boolean none() {
    int listed = begin[table.classes()];
    return only ? listed == 0 : listed == table.outputs();
  }

  /** The allowed slots of a class, ascending, as few runs as there are. */
  void forEachRun(int classNumber, Run run) {
    int from = begin[classNumber];
    int to = begin[classNumber + 1];
    int next = 0;
    while (from < to) {
      int first = slots[from];
      int last = first;
      for (from++; from < to && slots[from] == last + 1; from++) {
        last++;
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
