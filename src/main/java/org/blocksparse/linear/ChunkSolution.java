// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.BitSet;

/**
 * The models of some outputs of a chunk.
 *
 * @param training see {@link ChunkProblem}
 * @param first the first of the outputs, in the chunk
 */
@SuppressWarnings("ArrayRecordComponent")
record ChunkSolution(long training, int chunk, int first, OutputModel[] models) {
  private static final int MAGIC = 0x426c7332; // Bls2

  /**
   * Returns the solution as bytes.
   *
   * @throws IllegalStateException if an array cannot hold them
   */
  byte[] toBytes() {
    ArrayBytes.Writer bytes = new ArrayBytes.Writer(MAGIC);
    bytes.put(training).put(chunk).put(first).put(models.length);
    for (OutputModel model : models) {
      bytes.put(model.features()).put(model.weights());
      bytes.put(Float.floatToRawIntBits(model.bias()));
      bytes.put(Double.doubleToRawLongBits(model.excess()));
      Calibration.Samples samples = model.samples();
      bytes.put(samples == null ? 0 : 1);
      if (samples != null) {
        BitSet positive = new BitSet();
        for (int i = 0; i < samples.positive().length; i++) {
          positive.set(i, samples.positive()[i]);
        }
        bytes.put(samples.margins()).put(samples.weights()).put(positive.toLongArray());
      }
    }
    return bytes.array("end: the weights of " + models.length + " outputs");
  }

  /**
   * Reads what {@link #toBytes} wrote.
   *
   * @param featureCount the feature count of the tree
   * @throws IllegalArgumentException if it is something else, or has features beyond these
   */
  static ChunkSolution of(byte[] array, int featureCount) {
    ArrayBytes.Reader bytes = new ArrayBytes.Reader(MAGIC, array, "solutions");
    long training = bytes.getLong();
    int chunk = bytes.getInt();
    int first = bytes.getInt();
    OutputModel[] models = new OutputModel[bytes.getCount(Integer.BYTES)];
    for (int i = 0; i < models.length; i++) {
      int[] features = bytes.getAscending("features", featureCount);
      float[] weights = bytes.getFinites("weights");
      bytes.requireLength("weights", features.length, weights.length);
      float bias = bytes.getFinite("bias");
      double excess = Double.longBitsToDouble(bytes.getLong());
      bytes.require(excess >= 0, "excess", "a number >= 0", excess);
      int sampled = bytes.getInt();
      bytes.require((sampled & 1) == sampled, "samples", "0 or 1", sampled);
      models[i] =
          new OutputModel(features, weights, bias, sampled == 0 ? null : samples(bytes), excess);
    }
    bytes.requireEnd();
    return new ChunkSolution(training, chunk, first, models);
  }

  private static Calibration.Samples samples(ArrayBytes.Reader bytes) {
    double[] margins = bytes.getDoubles();
    for (double margin : margins) {
      bytes.require(Double.isFinite(margin), "margins", "finite numbers", margin);
    }
    float[] weights = bytes.getFinites("weights of samples");
    bytes.requireLength("weights of samples", margins.length, weights.length);
    for (float weight : weights) {
      bytes.require(weight >= 0, "weights of samples", "numbers >= 0", weight);
    }
    BitSet positive = bytes.getSet("positive samples", margins.length);
    boolean[] isPositive = new boolean[margins.length];
    for (int i = 0; i < isPositive.length; i++) {
      isPositive[i] = positive.get(i);
    }
    return new Calibration.Samples(margins, weights, isPositive);
  }
}
