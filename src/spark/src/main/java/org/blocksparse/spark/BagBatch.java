// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.ml.linalg.SparseVector;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;

/** Features that a bag turns into x: those other than 0 are the entries of its rows. */
final class BagBatch implements FeatureBatch {
  private final EmbeddingBag bag;
  private final int mostRows;
  private final List<int[]> indices = new ArrayList<>();
  private final List<float[]> values = new ArrayList<>();

  /** The size of the entries, an index and a value each, and of x. */
  private long size;

  BagBatch(EmbeddingBag bag, int mostRows) {
    this.bag = bag;
    this.mostRows = mostRows;
  }

  @Override
  public void add(Object value) {
    SparseVector row = FeatureRow.nonZero(value, bag.vocabulary());
    values.add(FeatureRow.floats(row));
    indices.add(row.indices());
    size += 2L * row.numActives() + bag.features();
  }

  /** Returns whether the batch is full: from the half on, since the next row may be too long. */
  @Override
  public boolean isFull() {
    return indices.size() == mostRows || size >= MOST_VALUES / 2;
  }

  @Override
  public FloatTensor take() {
    try (SparseRows rows = SparseRows.of(indices, values)) {
      return bag.apply(rows);
    } finally {
      indices.clear();
      values.clear();
      size = 0;
    }
  }
}
