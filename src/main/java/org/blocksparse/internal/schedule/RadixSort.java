// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Arrays;

/**
 * Sorts items by small keys, stably, in linear time: least significant digit first, with only as
 * many digits as the largest key has. A plain counting sort would cost as much as there are
 * possible keys, and there may be a million blocks for a batch of one.
 */
final class RadixSort {
  private static final int DIGIT_BITS = 11;

  private RadixSort() {}

  /**
   * Sorts by key.
   *
   * @param keys the key of each item, in [0, bound)
   * @param order the items as they come; overwritten
   * @return the items by ascending key, those with the same key as they came; may be {@code order}
   */
  static int[] sort(int[] keys, int bound, int[] order) {
    int bits = bound <= 1 ? 0 : 32 - Integer.numberOfLeadingZeros(bound - 1);
    int digits = (bits + DIGIT_BITS - 1) / DIGIT_BITS;
    if (digits == 0) {
      return order;
    }
    int digitBits = (bits + digits - 1) / digits;
    int mask = (1 << digitBits) - 1;
    int[] from = order;
    int[] to = new int[order.length];
    int[] next = new int[mask + 1];
    for (int digit = 0; digit < digits; digit++) {
      int shift = digit * digitBits;
      Arrays.fill(next, 0);
      for (int item : from) {
        next[keys[item] >>> shift & mask]++;
      }
      int begin = 0;
      for (int value = 0; value <= mask; value++) {
        int count = next[value];
        next[value] = begin;
        begin += count;
      }
      for (int item : from) {
        to[next[keys[item] >>> shift & mask]++] = item;
      }
      int[] swap = from;
      from = to;
      to = swap;
    }
    return from;
  }
}
