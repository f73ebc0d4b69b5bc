// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.weights.WeightType;

/**
 * Sparse weights whose chunks are consecutive outputs.
 *
 * @param table the chunks as classes of outputs
 * @param tfIdf weighs rows that count features; null if rows are used unchanged
 */
record SparseModel(SparseChunks weights, ClassTable table, TfIdf tfIdf) {
  static SparseModel of(SparseChunks weights, int outputs, TfIdf tfIdf) {
    return new SparseModel(weights, SparseSearch.table(outputs), tfIdf);
  }

  /** Returns the weights of each feature, which is a bag of outputs below {@code outputs}. */
  static SparseModel of(Bags bags, int outputs) {
    return of(SparseMatrix.of(bags, "weights: the weights of output"), outputs, null);
  }

  /** Returns the weights of each feature, a row of outputs. */
  static SparseModel of(SparseMatrix all, int outputs, TfIdf tfIdf) {
    SparseMatrix matrix = all.withoutZeros();
    int entries = matrix.columns().length;
    int features = matrix.rows();
    int[] begins = new int[features + 1];
    int[] chunks = new int[entries];
    int[] starts = new int[entries + 1];
    byte[] columns = new byte[entries];
    int rows = 0;
    for (int feature = 0; feature < features; feature++) {
      for (int e = matrix.offsets()[feature]; e < matrix.offsets()[feature + 1]; e++) {
        int chunk = matrix.columns()[e] / SparseChunks.MOST_OUTPUTS;
        if (rows == begins[feature] || chunks[rows - 1] != chunk) {
          chunks[rows] = chunk;
          starts[rows++] = e;
        }
        columns[e] = (byte) (matrix.columns()[e] % SparseChunks.MOST_OUTPUTS);
      }
      begins[feature + 1] = rows;
    }
    starts[rows] = entries;
    SparseChunks made = SparseChunks.allocate(features, rows, entries, outputs);
    try {
      made.begins().putInts(0, begins, 0, features + 1);
      made.chunks().putInts(0, chunks, 0, rows);
      made.starts().putInts(0, starts, 0, rows + 1);
      made.columns().putBytes(0, columns, entries);
      made.w().putFloats(0, matrix.values(), 0, entries);
      return of(made, outputs, tfIdf);
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /**
   * Requires a number of outputs.
   *
   * @throws IllegalArgumentException unless an array can have that many
   */
  static void requireOutputs(int outputs) {
    if (Check.atLeast(1, "outputs", outputs) > GrowingArrays.MAX_LENGTH) {
      throw new IllegalArgumentException(
          "outputs: expected at most " + GrowingArrays.MAX_LENGTH + " but was " + outputs);
    }
  }

  int outputs() {
    return table.outputs();
  }

  <L extends StorageLease> L lease(L lease) {
    return LinearModel.lease(weights, lease, "weights: the weights are closed");
  }

  /** Returns a copy with weights of a type; see {@link LinearModel#copy(WeightType, Engine)}. */
  SparseModel copy(WeightType type, Engine engine) {
    return new SparseModel(LinearModel.copy(weights, type, engine), table, tfIdf);
  }
}
