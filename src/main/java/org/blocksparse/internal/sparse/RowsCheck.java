// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import java.util.Locale;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;

/** Checks what sparse rows consist of, whose parts messages name after a prefix. */
public final class RowsCheck {
  /** The elements that are checked at a time: few, since each call checks wrapped rows. */
  private static final int PIECE = 1 << 8;

  private RowsCheck() {}

  /**
   * Requires that offsets begin with 0, do not decrease, and end with the number of entries.
   *
   * @throws IllegalArgumentException if they do not
   */
  public static void offsets(String prefix, Storage offsets, long entries) {
    long count = offsets.elements();
    if (count == 0) {
      throw new IllegalArgumentException(prefix + "offsets: expected rows + 1 elements but was 0");
    }
    int before = 0;
    int[] piece = new int[(int) Math.min(PIECE, count)];
    for (long begin = 0; begin < count; begin += PIECE) {
      int length = (int) Math.min(PIECE, count - begin);
      offsets.getInts(begin, piece, 0, length);
      if (begin == 0 && piece[0] != 0) {
        throw new IllegalArgumentException(prefix + "offsets[0]: expected 0 but was " + piece[0]);
      }
      for (int i = 0; i < length; i++) {
        if (piece[i] < before) {
          throw new IllegalArgumentException(
              prefix
                  + "offsets["
                  + (begin + i)
                  + "] = "
                  + piece[i]
                  + " is less than the one before");
        }
        before = piece[i];
      }
    }
    if (before != entries) {
      throw new IllegalArgumentException(
          prefix
              + "offsets: expected to end with the "
              + entries
              + " indices there are but was "
              + before);
    }
  }

  /**
   * Requires that offsets of consecutive rows do not decrease, and are within the entries: enough
   * for a part of the rows, at a cost that does not depend on the others.
   *
   * @param first the row that the first of them is of
   * @throws IllegalArgumentException if they do fall, or are not
   */
  public static void someOffsets(String prefix, int first, int[] offsets, int entries) {
    int before = 0;
    for (int i = 0; i < offsets.length; i++) {
      if (offsets[i] < before || offsets[i] > entries) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "%soffsets[%d]: expected a number in [%d, %d] but was %d",
                prefix,
                (long) first + i,
                before,
                entries,
                offsets[i]));
      }
      before = offsets[i];
    }
  }

  /**
   * Returns the largest index, -1 if there is none.
   *
   * @throws IndexOutOfBoundsException if one is negative
   */
  public static int maxIndex(String prefix, Slice indices, int entries) {
    int max = -1;
    int[] piece = new int[Math.min(PIECE, entries)];
    for (int begin = 0; begin < entries; begin += Math.min(PIECE, entries - begin)) {
      int length = Math.min(PIECE, entries - begin);
      indices.storage().getInts(indices.begin() + begin, piece, 0, length);
      for (int i = 0; i < length; i++) {
        if (piece[i] < 0) {
          throw new IndexOutOfBoundsException(
              prefix + "indices[" + (begin + i) + "] = " + piece[i] + " is negative");
        }
        max = Math.max(max, piece[i]);
      }
    }
    return max;
  }
}
