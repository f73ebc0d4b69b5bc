// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/** A binary heap of longs, the smallest on top, over an array that somebody else fills. */
final class LongHeap {
  private final long[] values;
  private int size;

  /** Makes a heap of the first {@code size} values, in time proportional to their number. */
  LongHeap(long[] values, int size) {
    this.values = values;
    this.size = size;
    for (int i = size / 2 - 1; i >= 0; i--) {
      siftDown(i, values[i]);
    }
  }

  boolean isEmpty() {
    return size == 0;
  }

  /** The smallest; there must be one. */
  long min() {
    return values[0];
  }

  long removeMin() {
    long min = values[0];
    size--;
    siftDown(0, values[size]);
    return min;
  }

  void replaceMin(long value) {
    siftDown(0, value);
  }

  /** Puts a value where it belongs, at {@code start} or below. */
  private void siftDown(int start, long value) {
    int i = start;
    for (int child = 2 * i + 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && values[child + 1] < values[child]) {
        child++;
      }
      if (values[child] >= value) {
        break;
      }
      values[i] = values[child];
      i = child;
    }
    values[i] = value;
  }
}
