// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.stream.IntStream;
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
  /** A copy of all bags; see {@link #of(Bags, int[], String)}. */
  static SparseMatrix of(Bags bags) {
    return of(bags, IntStream.range(0, bags.count()).toArray(), "x: the values of feature");
  }

  /**
   * A copy of some bags, which were checked and are leased; entries of a bag with the same index
   * are added up.
   *
   * @param chosen the bags, ascending
   * @param what an index is of, in messages
   * @throws IllegalArgumentException if a sum is not finite
   */
  static SparseMatrix of(Bags bags, int[] chosen, String what) {
    int[] offsets = new int[chosen.length + 1];
    int[] columns = new int[bags.entries()];
    float[] values = new float[bags.entries()];
    int size = 0;
    for (int r = 0; r < chosen.length; r++) {
      int row = chosen[r];
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
              what + " " + column + " in row " + row + " add up to " + sum);
        }
      }
      offsets[r + 1] = size;
    }
    boolean isFull = size == columns.length;
    return new SparseMatrix(
        offsets,
        isFull ? columns : Arrays.copyOf(columns, size),
        isFull ? values : Arrays.copyOf(values, size));
  }

  /** The same without entries of value 0. */
  SparseMatrix withoutZeros() {
    int[] kept = new int[offsets.length];
    int size = 0;
    for (int row = 0; row < rows(); row++) {
      for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
        if (values[entry] != 0) {
          columns[size] = columns[entry];
          values[size++] = values[entry];
        }
      }
      kept[row + 1] = size;
    }
    return new SparseMatrix(kept, Arrays.copyOf(columns, size), Arrays.copyOf(values, size));
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
