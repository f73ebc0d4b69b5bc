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
  private static final int MAGIC = 0x31736c42; // Bls1

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
    return bytes.array();
  }

  /**
   * Reads what {@link #toBytes} wrote.
   *
   * @param featureCount of the tree
   * @throws IllegalArgumentException if it is something else, or has features beyond these
   */
  static ChunkSolution of(byte[] array, int featureCount) {
    ArrayBytes.Reader bytes = new ArrayBytes.Reader(MAGIC, array, "solutions");
    long training = bytes.getLong();
    int chunk = bytes.getInt();
    int first = bytes.getInt();
    OutputModel[] models = new OutputModel[bytes.getCount(Integer.BYTES)];
    for (int i = 0; i < models.length; i++) {
      int[] features = bytes.getInts();
      float[] weights = bytes.getFloats();
      bytes.require(weights.length == features.length);
      for (int f = 0; f < features.length; f++) {
        bytes.require(features[f] < featureCount && features[f] > (f == 0 ? -1 : features[f - 1]));
      }
      float bias = Float.intBitsToFloat(bytes.getInt());
      double excess = Double.longBitsToDouble(bytes.getLong());
      models[i] =
          new OutputModel(
              features, weights, bias, bytes.getInt() == 0 ? null : samples(bytes), excess);
    }
    bytes.requireEnd();
    return new ChunkSolution(training, chunk, first, models);
  }

  private static Calibration.Samples samples(ArrayBytes.Reader bytes) {
    double[] margins = bytes.getDoubles();
    float[] weights = bytes.getFloats();
    bytes.require(weights.length == margins.length);
    BitSet positive = BitSet.valueOf(bytes.getLongs());
    boolean[] isPositive = new boolean[margins.length];
    for (int i = 0; i < isPositive.length; i++) {
      isPositive[i] = positive.get(i);
    }
    return new Calibration.Samples(margins, weights, isPositive);
  }
}
