// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.function.LongConsumer;

/** A binary heap of longs, the smallest on top, over a part of an array that the caller fills. */
public final class LongHeap {
  private long[] values;
  private int first;
  private int size;

  /**
   * Makes a heap of {@code size} values from {@code values[first]} on, in time proportional to
   * their number, replacing the previous heap.
   */
  public LongHeap reset(long[] values, int first, int size) {
    this.values = values;
    this.first = first;
    this.size = size;
    for (int i = size / 2 - 1; i >= 0; i--) {
      siftDown(i, values[first + i]);
    }
    return this;
  }

  /** Returns whether there are no values. */
  public boolean isEmpty() {
    return size == 0;
  }

  /** Returns how many values there are. */
  public int size() {
    return size;
  }

  /** Passes all values to an action, in no order. */
  public void forEach(LongConsumer action) {
    for (int i = first; i < first + size; i++) {
      action.accept(values[i]);
    }
  }

  /** Returns how many values are smaller than a limit. */
  public int countBelow(long limit) {
    int count = 0;
    for (int i = first; i < first + size; i++) {
      count += values[i] < limit ? 1 : 0;
    }
    return count;
  }

  /** Returns the smallest; there must be one. */
  public long min() {
    return values[first];
  }

  /** Removes the smallest; there must be one. */
  public long removeMin() {
    long min = values[first];
    size--;
    siftDown(0, values[first + size]);
    return min;
  }

  /** Puts a value in place of the smallest; there must be one. */
  public void replaceMin(long value) {
    siftDown(0, value);
  }

  /** Adds a value. If the array has no room after the heap, the heap goes on in a copy. */
  public void add(long value) {
    if (first + size == values.length) {
      values = Arrays.copyOf(values, Math.max(16, 2 * values.length));
    }
    int i = size++;
    for (int parent = (i - 1) >> 1;
        i > 0 && values[first + parent] > value;
        parent = (i - 1) >> 1) {
      values[first + i] = values[first + parent];
      i = parent;
    }
    values[first + i] = value;
  }

  /** Moves a value to its place, at {@code start} or below. */
  private void siftDown(int start, long value) {
    int i = start;
    for (int child = 2 * i + 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && values[first + child + 1] < values[first + child]) {
        child++;
      }
      if (values[first + child] >= value) {
        break;
      }
      values[first + i] = values[first + child];
      i = child;
    }
    values[first + i] = value;
  }
}
