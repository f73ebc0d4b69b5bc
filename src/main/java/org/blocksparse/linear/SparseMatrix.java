// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.Bags;

/**
 * Sparse rows on the heap: row r has the entries [offsets[r], offsets[r + 1]). The arrays are
 * shared and not to be changed.
 *
 * @param columns the column of each entry
 * @param values of the entries
 */
record SparseMatrix(int[] offsets, int[] columns, float[] values) {
  /** A copy of bags that were checked and are leased. */
  static SparseMatrix of(Bags bags) {
    int[] offsets = new int[bags.count() + 1];
    for (int row = 0; row < offsets.length; row++) {
      offsets[row] = bags.offsets().getInt(row);
    }
    int[] columns = new int[bags.entries()];
    float[] values = new float[bags.entries()];
    for (int entry = 0; entry < columns.length; entry++) {
      columns[entry] = bags.indices().getInt(entry);
      values[entry] = bags.value(entry);
    }
    return new SparseMatrix(offsets, columns, values);
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
