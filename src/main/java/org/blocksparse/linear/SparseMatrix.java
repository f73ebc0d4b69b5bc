// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Bags;

/**
 * Sparse rows on the heap: row r has the entries [offsets[r], offsets[r + 1]). The columns of a row
 * ascend, and each is there once, so that the size of an entry is that of its column. The arrays
 * are shared and not to be changed.
 *
 * @param columns the column of each entry
 * @param values of the entries
 */
record SparseMatrix(int[] offsets, int[] columns, float[] values) {
  /**
   * A copy of bags that were checked and are leased; entries of a bag with the same index are added
   * up.
   *
   * @throws IllegalArgumentException if a sum is not finite
   */
  static SparseMatrix of(Bags bags) {
    int[] offsets = new int[bags.count() + 1];
    int[] columns = new int[bags.entries()];
    float[] values = new float[bags.entries()];
    int size = 0;
    for (int row = 0; row < bags.count(); row++) {
      int begin = bags.offsets().getInt(row);
      long[] sorted = new long[bags.offsets().getInt(row + 1L) - begin]; // by index, then entry
      for (int i = 0; i < sorted.length; i++) {
        sorted[i] = (long) bags.indices().getInt(begin + i) << 32 | (begin + i);
      }
      Arrays.sort(sorted);
      for (int i = 0; i < sorted.length; size++) {
        int column = (int) (sorted[i] >> 32);
        double sum = bags.value((int) sorted[i++]);
        while (i < sorted.length && (int) (sorted[i] >> 32) == column) {
          sum += bags.value((int) sorted[i++]);
        }
        columns[size] = column;
        values[size] = (float) sum;
        if (!Float.isFinite(values[size])) {
          throw new IllegalArgumentException(
              "x: the values of feature " + column + " in row " + row + " add up to " + sum);
        }
      }
      offsets[row + 1] = size;
    }
    boolean hasRepeats = size < columns.length;
    return new SparseMatrix(
        offsets,
        hasRepeats ? Arrays.copyOf(columns, size) : columns,
        hasRepeats ? Arrays.copyOf(values, size) : values);
  }

  int rows() {
    return offsets.length - 1;
  }

  /** The sum of the squares of a row. */
  double squaredNorm(int row) {
    double squares = 0;
    for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
      squares += (double) values[entry] * values[entry];
    }
    return squares;
  }
}
