// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The product of rows with sparse weights, times a factor: a term of a sum. Chunk c of the weights
 * has the outputs from {@link SparseChunks#MOST_OUTPUTS} * c on.
 *
 * @param table the chunks as classes of outputs
 */
public record SparseTerm(
    Engine engine, Bags x, SparseChunks weights, ClassTable table, double factor) {
  /** Returns the number of outputs. */
  public int outputs() {
    return table.outputs();
  }

  /** Returns the term with another factor. */
  public SparseTerm withFactor(double newFactor) {
    return new SparseTerm(engine, x, weights, table, newFactor);
  }

  /** Estimates the work for rows [first, first + count), in multiply-adds. */
  long work(int first, int count) {
    long chunks = 0;
    int end = x.offsets().getInt((long) first + count);
    for (int e = x.offsets().getInt(first); e < end; e++) {
      int feature = x.indices().getInt(e);
      chunks += weights.begins().getInt(feature + 1L) - weights.begins().getInt(feature);
    }
    return Math.max(0, chunks) * SparseChunks.MOST_OUTPUTS; // a damaged file may have any number
  }
}
