// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * The rows that the models of a chunk are trained on, with renumbered features: those that occur,
 * in their order. It has all that {@link ChunkSolver} needs, so that another process can solve it.
 *
 * @param training the number of the training, to recognize solutions of another one
 * @param firstOutput the first output of the chunk, among all outputs of the tree
 * @param sampledEvery outputs whose number is a multiple get a model for calibration; 0: none
 * @param seed the seed of output 0
 * @param meanCost the cost of a row of mean weight
 * @param rows their numbers
 * @param x the rows
 * @param features the feature of each column of x
 * @param costs the costs of the rows
 * @param positives for each output its rows
 * @param heldOut for each fold the rows that are left out when a model for calibration is trained
 */
record ChunkProblem(
    long training,
    int chunk,
    int firstOutput,
    int sampledEvery,
    float threshold,
    long seed,
    double meanCost,
    int[] rows,
    SparseMatrix x,
    int[] features,
    double[] costs,
    SparseMatrix positives,
    List<BitSet> heldOut) {
  private static final int MAGIC = 0x426c7033; // Blp3
  private static final String ROWS = "x: the rows of a cluster";

  /** The minimum cost: costs are products of two positive floats, and sums of them are finite. */
  private static final double LEAST_COST = 0x1p-300;

  private static final double MOST_COST = 0x1p257;

  /**
   * Returns the problem as bytes.
   *
   * @throws IllegalStateException if an array cannot hold them
   */
  byte[] toBytes() {
    ArrayBytes.Writer bytes = new ArrayBytes.Writer(MAGIC);
    bytes.put(training).put(chunk).put(firstOutput).put(sampledEvery);
    bytes
        .put(Float.floatToRawIntBits(threshold))
        .put(seed)
        .put(Double.doubleToRawLongBits(meanCost));
    bytes.put(rows).put(features).put(x.offsets()).put(x.columns()).put(x.values()).put(costs);
    bytes.put(positives.offsets()).put(positives.columns()).put(heldOut.size());
    heldOut.forEach(fold -> bytes.put(fold.toLongArray()));
    return bytes.array(ROWS);
  }

  /**
   * Checks that rows may fit, before they are copied.
   *
   * @param size rows, and the entries of all
   * @throws IllegalStateException if {@link #toBytes} would throw it for sure
   */
  static void requireRoom(long size) {
    ArrayBytes.requireRoom(ROWS, size * (Integer.BYTES + Float.BYTES)); // each row has even more
  }

  /**
   * Reads what {@link #toBytes} wrote.
   *
   * @throws IllegalArgumentException if it is something else
   */
  static ChunkProblem of(byte[] array) {
    ArrayBytes.Reader bytes = new ArrayBytes.Reader(MAGIC, array, "problem");
    long training = bytes.getLong();
    int chunk = bytes.getNumber("chunk");
    int firstOutput = bytes.getNumber("firstOutput");
    int sampledEvery = bytes.getNumber("sampledEvery");
    float threshold = bytes.getFinite("threshold");
    long seed = bytes.getLong();
    double meanCost = Double.longBitsToDouble(bytes.getLong());
    requireCost(bytes, "meanCost", meanCost);
    int[] rows = bytes.getInts();
    int[] features = bytes.getAscending("features", Integer.MAX_VALUE);
    SparseMatrix entries = bytes.getMatrix("x", features.length);
    float[] values = bytes.getFinites("x");
    bytes.requireLength("x.values", entries.columns().length, values.length);
    bytes.requireLength("rows", entries.rows(), rows.length);
    double[] costs = bytes.getDoubles();
    bytes.requireLength("costs", rows.length, costs.length);
    for (double cost : costs) {
      requireCost(bytes, "costs", cost);
      float weight = (float) (cost / meanCost);
      bytes.require(Float.isFinite(weight), "costs", "finite parts of the mean", weight);
    }
    SparseMatrix positives = bytes.getMatrix("positives", rows.length);
    List<BitSet> heldOut = new ArrayList<>();
    int folds = bytes.getCount(Integer.BYTES);
    int most = LinearTraining.HELD_OUT;
    bytes.require(folds <= most, "heldOut", "at most " + most + " folds", folds);
    for (int fold = 0; fold < folds; fold++) {
      heldOut.add(bytes.getSet("heldOut", rows.length));
    }
    bytes.requireEnd();
    return new ChunkProblem(
        training,
        chunk,
        firstOutput,
        sampledEvery,
        threshold,
        seed,
        meanCost,
        rows,
        new SparseMatrix(entries.offsets(), entries.columns(), values),
        features,
        costs,
        positives,
        heldOut);
  }

  private static void requireCost(ArrayBytes.Reader bytes, String what, double cost) {
    bytes.require(
        cost >= LEAST_COST && cost <= MOST_COST, what, "a number in [2^-300, 2^257]", cost);
  }

  /** Returns the number of outputs of the chunk. */
  int outputs() {
    return positives.rows();
  }

  /**
   * Returns chosen rows of a matrix, without the features that do not occur.
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

  /** Returns the features of some rows, ascending; the room as in {@link #compact}. */
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

  /** Returns whether an output has rows that are not held out. */
  boolean isKnownWithout(BitSet heldOut, int output) {
    for (int i = positives.offsets()[output]; i < positives.offsets()[output + 1]; i++) {
      if (!heldOut.get(positives.columns()[i])) {
        return true;
      }
    }
    return false;
  }

  /** Returns the rows of an output. */
  BitSet positivesOf(int output) {
    BitSet rows = new BitSet();
    for (int i = positives.offsets()[output]; i < positives.offsets()[output + 1]; i++) {
      rows.set(positives.columns()[i]);
    }
    return rows;
  }
}
