// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.search.LogOdds;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The weights that the features of a row have for the log probability of a label: those of the
 * label itself and of the clusters above it, each times the mean slope of the log probability of
 * its level on the way from a row without features to the row.
 */
final class LabelWeights {
  /**
   * The change of log odds below which the slope at the end is used, as a difference is dominated
   * by rounding.
   */
  private static final double SMALL = 1e-6;

  private final LinearModel model;

  /** The chunk on the way to the label, by level. */
  private final int[] chunks;

  /** The output of that chunk that is the label or leads to it, by level. */
  private final int[] columns;

  private final double[] slopes;

  /**
   * Creates the weights for a label of a leased model and a leased row, which the tree has
   * weighted.
   */
  LabelWeights(LinearModel model, int label, Bags row) {
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
    this.slopes = new double[chunks.length];
    for (level = 0; level < chunks.length; level++) {
      Calibration calibration = model.calibrations().get(level);
      long output = (long) tree.outputBegins()[chunks[level]] + columns[level];
      double margin = model.weights().biases().getFloat(output);
      double change = 0;
      for (int entry = row.offsets().getInt(0); entry < row.offsets().getInt(1); entry++) {
        change += row.value(entry) * weight(row.indices().getInt(entry), level);
      }
      double before = LogOdds.logProbability(calibration.logit(margin));
      double logit = calibration.logit(margin + change);
      slopes[level] =
          Math.abs(calibration.slope() * change) < SMALL
              ? calibration.slope() / (1 + Math.exp(logit))
              : (LogOdds.logProbability(logit) - before) / change;
    }
  }

  /**
   * Returns the weight of a feature; 0 if none is stored.
   *
   * @throws IllegalStateException if a mapped file that the model is from is damaged
   */
  double weight(int feature) {
    double sum = 0;
    for (int level = 0; level < chunks.length; level++) {
      sum += slopes[level] * weight(feature, level);
    }
    return sum;
  }

  private double weight(int feature, int level) {
    return weight(model.weights(), feature, chunks[level], columns[level]);
  }

  /**
   * Returns the weight of a feature for an output of a chunk; 0 if none is stored.
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
