// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Arrays;
import org.blocksparse.internal.memory.GrowingArrays;

/**
 * Sorts items by small keys, stably, in linear time: least significant digit first, with only as
 * many digits as the largest key has. A plain counting sort would cost as much as there are
 * possible keys, and there may be a million blocks for a batch of one.
 */
public final class RadixSort {
  private static final int DIGIT_BITS = 11;

  /** The second array for moving items, as long as the longest sort needed. */
  private int[] spare = new int[0];

  /** The place of the next item for each value of a digit. */
  private int[] next = new int[0];

  /**
   * Sorts by key.
   *
   * @param keys the key of each item, in [0, bound)
   * @param order the items as they come; overwritten
   * @return the items by ascending key, those with the same key as they came; may be {@code order}
   */
  public static int[] sort(int[] keys, int bound, int[] order) {
    return new RadixSort().sort(keys, bound, order, order.length);
  }

  /**
   * Sorts the first {@code count} items. The result holds until this sorts again, and may be
   * longer.
   */
  public int[] sort(int[] keys, int bound, int[] order, int count) {
    int bits = bound <= 1 ? 0 : 32 - Integer.numberOfLeadingZeros(bound - 1);
    int digits = (bits + DIGIT_BITS - 1) / DIGIT_BITS;
    if (digits == 0) {
      return order;
    }
    int digitBits = (bits + digits - 1) / digits;
    int mask = (1 << digitBits) - 1;
    spare = GrowingArrays.ints(spare, count);
    next = GrowingArrays.ints(next, mask + 1);
    int[] from = order;
    int[] to = spare;
    for (int digit = 0; digit < digits; digit++) {
      int shift = digit * digitBits;
      Arrays.fill(next, 0, mask + 1, 0);
      for (int i = 0; i < count; i++) {
        next[keys[from[i]] >>> shift & mask]++;
      }
      int begin = 0;
      for (int value = 0; value <= mask; value++) {
        int items = next[value];
        next[value] = begin;
        begin += items;
      }
      for (int i = 0; i < count; i++) {
        int item = from[i];
        to[next[keys[item] >>> shift & mask]++] = item;
      }
      int[] swap = from;
      from = to;
      to = swap;
    }
    return from;
  }
}
