// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The product of rows with sparse weights, times a factor: a term of a sum. Chunk c of the weights
 * has the outputs from {@link SparseChunks#MOST_OUTPUTS} * c on.
 *
 * @param outputs how many there are
 */
public record SparseTerm(
    RowKernels kernels, Bags x, SparseChunks weights, int outputs, double factor) {
  /** Estimates the work for rows [first, first + count), in multiply-adds. */
  long work(int first, int count) {
    long chunks = 0;
    int end = x.offsets().getInt((long) first + count);
    for (int e = x.offsets().getInt(first); e < end; e++) {
      int feature = x.indices().getInt(e);
      chunks += weights.begins().getInt(feature + 1L) - weights.begins().getInt(feature);
    }
    return Math.max(0, chunks) * SparseChunks.MOST_OUTPUTS; // a damaged file may have any numbers
  }
}
