// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.lang.ref.WeakReference;

/**
 * A list of outputs for any number of calls. It caches their places in the classes of the last
 * call: a further call then has no cost per output.
 *
 * <p>The cache takes four bytes for each output of the list and for each class. It does not keep
 * the table, so that of a model that was closed or has grown is garbage.
 */
public final class SharedOutputs {
  private final int[] outputs;
  private final int least;
  private final int most;
  private volatile Kept kept;
  private volatile Outside outside = new Outside(0, 0);

  /** The number of outputs outside [0, bound). */
  private record Outside(int bound, int count) {}

  /**
   * The slots in a table; another table, even of the same model after it has grown, is another
   * object.
   */
  private record Kept(WeakReference<ClassTable> table, SlotList slots) {}

  /**
   * Creates a list.
   *
   * @param outputs any number of times each; become its own
   */
  public SharedOutputs(int[] outputs) {
    this.outputs = outputs;
    int min = Integer.MAX_VALUE;
    int max = Integer.MIN_VALUE;
    for (int output : outputs) {
      min = Math.min(min, output);
      max = Math.max(max, output);
    }
    this.least = min;
    this.most = max;
  }

  /** Returns how many are listed, repeats included. */
  public int size() {
    return outputs.length;
  }

  /** Returns whether all are in [0, bound). */
  public boolean areBelow(int bound) {
    return outputs.length == 0 || (least >= 0 && most < bound);
  }

  /** Returns how many are outside [0, bound); counted again only for another bound. */
  public int outside(int bound) {
    if (areBelow(bound)) {
      return 0;
    }
    Outside last = outside;
    if (last.bound != bound) {
      int count = 0;
      for (int output : outputs) {
        count += output < 0 || output >= bound ? 1 : 0;
      }
      last = new Outside(bound, count);
      outside = last;
    }
    return last.count;
  }

  /** Returns all outputs in their order; the array must not be changed. */
  public int[] outputs() {
    return outputs;
  }

  /**
   * Returns the places of the outputs, sorted from the second call on: a list for one call would
   * not repay it. Threads that do this at the same time find the same.
   */
  SlotList in(ClassTable table) {
    Kept last = kept;
    if (last == null || !last.table.refersTo(table)) {
      last = new Kept(new WeakReference<>(table), SlotList.of(table, outputs));
      kept = last;
    } else if (!last.slots.isAscending()) {
      last = new Kept(last.table, last.slots.ascending());
      kept = last;
    }
    return last.slots;
  }
}
