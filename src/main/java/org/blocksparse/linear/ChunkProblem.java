// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.BitSet;

/**
 * The rows that the models of a chunk are trained on, with features that are numbered anew: those
 * that occur, in their order.
 *
 * @param rows their numbers
 * @param x the rows
 * @param features the feature of each column of x
 * @param costs of the rows
 * @param positives for each output its rows
 * @param heldOut rows that are left out when models for calibration are trained
 */
record ChunkProblem(
    int[] rows,
    SparseMatrix x,
    int[] features,
    double[] costs,
    SparseMatrix positives,
    BitSet heldOut) {

  /**
   * Rows of a matrix.
   *
   * @param chosen the rows
   * @param columnOf room for a number for each feature, 0 on entry and on return
   */
  static SparseMatrix compact(
      SparseMatrix all, int[] chosen, int begin, int end, int[] features, int[] columnOf) {
    int[] sizes = new int[end - begin];
    for (int i = begin; i < end; i++) {
      sizes[i - begin] = all.offsets()[chosen[i] + 1] - all.offsets()[chosen[i]];
    }
    int[] offsets = SparseMatrix.offsets(sizes);
    int entries = offsets[sizes.length];
    int[] columns = new int[entries];
    float[] values = new float[entries];
    for (int c = 0; c < features.length; c++) {
      columnOf[features[c]] = c;
    }
    for (int i = begin; i < end; i++) {
      int from = all.offsets()[chosen[i]];
      for (int e = 0; e < sizes[i - begin]; e++) {
        columns[offsets[i - begin] + e] = columnOf[all.columns()[from + e]];
        values[offsets[i - begin] + e] = all.values()[from + e];
      }
    }
    for (int feature : features) {
      columnOf[feature] = 0;
    }
    return new SparseMatrix(offsets, columns, values);
  }

  /** The features of some rows, ascending; the room as in {@link #compact}. */
  static int[] features(SparseMatrix all, int[] chosen, int begin, int end, int[] seen) {
    int[] features = new int[64];
    int count = 0;
    for (int i = begin; i < end; i++) {
      for (int e = all.offsets()[chosen[i]]; e < all.offsets()[chosen[i] + 1]; e++) {
        int feature = all.columns()[e];
        if (seen[feature] == 0) {
          seen[feature] = 1;
          if (count == features.length) {
            features = Arrays.copyOf(features, 2 * count);
          }
          features[count++] = feature;
        }
      }
    }
    features = Arrays.copyOf(features, count);
    Arrays.sort(features);
    for (int feature : features) {
      seen[feature] = 0;
    }
    return features;
  }

  /** Whether an output has rows that are not held out. */
  boolean isKnownWithoutHeldOut(int output) {
    for (int i = positives.offsets()[output]; i < positives.offsets()[output + 1]; i++) {
      if (!heldOut.get(positives.columns()[i])) {
        return true;
      }
    }
    return false;
  }

  /** The rows of an output. */
  BitSet positivesOf(int output) {
    BitSet rows = new BitSet();
    for (int i = positives.offsets()[output]; i < positives.offsets()[output + 1]; i++) {
      rows.set(positives.columns()[i]);
    }
    return rows;
  }
}
