// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/**
 * A binary heap of longs, the smallest on top, over a part of an array that somebody else fills.
 */
final class LongHeap {
  private long[] values;
  private int first;
  private int size;

  /**
   * Makes a heap of {@code size} values from {@code values[first]} on, in time proportional to
   * their number, in place of what it was before.
   */
  LongHeap reset(long[] values, int first, int size) {
    this.values = values;
    this.first = first;
    this.size = size;
    for (int i = size / 2 - 1; i >= 0; i--) {
      siftDown(i, values[first + i]);
    }
    return this;
  }

  boolean isEmpty() {
    return size == 0;
  }

  /** How many values are smaller than a limit. */
  int countBelow(long limit) {
    int count = 0;
    for (int i = first; i < first + size; i++) {
      count += values[i] < limit ? 1 : 0;
    }
    return count;
  }

  /** The smallest; there must be one. */
  long min() {
    return values[first];
  }

  long removeMin() {
    long min = values[first];
    size--;
    siftDown(0, values[first + size]);
    return min;
  }

  void replaceMin(long value) {
    siftDown(0, value);
  }

  /** Puts a value where it belongs, at {@code start} or below. */
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
