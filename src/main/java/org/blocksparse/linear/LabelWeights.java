// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.SparseChunks;

/**
 * The weights that features have for a label: those of the label itself and of the clusters above
 * it, each times the slope of its level. They add up to the log odds of all these, added up.
 */
final class LabelWeights {
  private final LinearModel model;

  /** For each level, the chunk on the way to the label. */
  private final int[] chunks;

  /** For each level, the output of the chunk that leads to the label, or is it. */
  private final int[] columns;

  /** The weights for a label of a model that is leased. */
  LabelWeights(LinearModel model, int label) {
    this.model = model;
    ChunkTree tree = model.tree();
    int[] parents = tree.parents();
    this.chunks = new int[tree.levels()];
    this.columns = new int[tree.levels()];
    int level = tree.levels() - 1;
    chunks[level] = tree.firstLeaf() + model.table().classOf()[label];
    columns[level] = model.table().slotOf()[label];
    for (; level > 0; level--) {
      chunks[level - 1] = parents[chunks[level]];
      columns[level - 1] = chunks[level] - 1 - tree.outputBegins()[chunks[level - 1]];
    }
  }

  /** The log odds without any feature. */
  double constant() {
    double sum = 0;
    for (int level = 0; level < chunks.length; level++) {
      Calibration calibration = model.calibrations().get(level);
      long output = (long) model.tree().outputBegins()[chunks[level]] + columns[level];
      sum +=
          (double) calibration.slope() * model.weights().biases().getFloat(output)
              + calibration.intercept();
    }
    return sum;
  }

  /**
   * The change of the log odds for each unit of a feature; 0 if no weight is stored.
   *
   * @throws IllegalStateException if a mapped file that the model is from is damaged
   */
  double weight(int feature) {
    double sum = 0;
    for (int level = 0; level < chunks.length; level++) {
      double weight = weight(model.weights(), feature, chunks[level], columns[level]);
      sum += model.calibrations().get(level).slope() * weight;
    }
    return sum;
  }

  /**
   * The weight of a feature for an output of a chunk; 0 if none is stored.
   *
   * @throws IllegalStateException if a mapped file that they are from is damaged
   */
  static double weight(SparseChunks weights, int feature, int chunk, int column) {
    try {
      int end = weights.begins().getInt(feature + 1L);
      for (int row = weights.begins().getInt(feature); row < end; row++) {
        if (weights.chunks().getInt(row) == chunk) {
          return weight(weights, row, column);
        }
      }
      return 0;
    } catch (IndexOutOfBoundsException e) {
      throw new IllegalStateException("weights: the mapped file is damaged", e);
    }
  }

  private static double weight(SparseChunks weights, int row, int column) {
    int end = weights.starts().getInt(row + 1L);
    for (int entry = weights.starts().getInt(row); entry < end; entry++) {
      if ((weights.columns().getByte(entry) & 0xff) == column) {
        return weights.type().get(weights.w(), entry);
      }
    }
    return 0;
  }
}
