// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import org.blocksparse.SparseRows;

/**
 * Examples in a model's numbers: features as rows of its table, if they have one, and labels as its
 * outputs.
 */
public record NumberedExamples(SparseRows features, SparseRows labels) implements AutoCloseable {
  /** The number of examples that are computed together. */
  public static final int BATCH = 256;

  public int size() {
    return labels.rows();
  }

  @Override
  public void close() {
    features.close();
    labels.close();
  }
}
