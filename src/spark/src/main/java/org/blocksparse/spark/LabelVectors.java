// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.nio.ByteBuffer;
import java.util.Iterator;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.blocksparse.FloatTensor;
import scala.Tuple2;

/**
 * The direction of each label: the sum of the features of its rows, each row scaled to length 1.
 * Sums are of integer multiples of 2<sup>-30</sup>, which are exact, so that neither the order of
 * the rows nor their partitions change a bit.
 */
final class LabelVectors {
  /** The length of a row in steps: a sum has room for 2^33 rows. */
  private static final double STEPS = 1 << 30;

  /** The maximum number of bytes of a partition that is brought to the driver. */
  private static final long MOST_BYTES = 64 << 20;

  private LabelVectors() {}

  /**
   * Sums the rows of each label; the driver gets the sums some 64 MiB at a time.
   *
   * @param rows encoded
   * @param outputs how many labels there are
   * @return (outputs, features), in steps; zero for labels without rows, and the caller's to close
   */
  static FloatTensor of(JavaRDD<byte[]> rows, int features, int outputs) {
    JavaPairRDD<Integer, float[]> sums =
        rows.flatMapToPair(LabelVectors::forEachLabel)
            .combineByKey(
                row -> add(new long[features], row),
                LabelVectors::add,
                LabelVectors::add,
                partitions(rows, features, outputs))
            .mapValues(LabelVectors::floats);
    FloatTensor vectors = FloatTensor.zeros(outputs, features);
    try {
      Iterator<Tuple2<Integer, float[]>> labels = sums.toLocalIterator();
      while (labels.hasNext()) {
        Tuple2<Integer, float[]> label = labels.next();
        vectors.put((long) label._1() * features, label._2(), 0, features);
      }
      return vectors;
    } catch (Throwable e) {
      vectors.close();
      throw e;
    }
  }

  private static Iterator<Tuple2<Integer, byte[]>> forEachLabel(byte[] row) {
    return IntStream.of(EncodedRow.labels(row))
        .mapToObj(label -> new Tuple2<>(label, row))
        .iterator();
  }

  private static int partitions(JavaRDD<byte[]> rows, int features, int outputs) {
    long bytes = 4L * features * outputs;
    return Math.toIntExact(Math.max(rows.getNumPartitions(), (bytes - 1) / MOST_BYTES + 1));
  }

  /** Adds a row. */
  private static long[] add(long[] sum, byte[] row) {
    float[] x = new float[sum.length];
    EncodedRow.features(ByteBuffer.wrap(row), x, 0, x.length);
    double squares = 0;
    for (float value : x) {
      squares += (double) value * value;
    }
    double factor = squares > 0 ? STEPS / Math.sqrt(squares) : 0;
    for (int f = 0; f < x.length; f++) {
      sum[f] += (long) Math.rint(x[f] * factor);
    }
    return sum;
  }

  private static long[] add(long[] sum, long[] other) {
    for (int f = 0; f < sum.length; f++) {
      sum[f] += other[f];
    }
    return sum;
  }

  private static float[] floats(long[] sum) {
    float[] floats = new float[sum.length];
    for (int f = 0; f < sum.length; f++) {
      floats[f] = sum[f];
    }
    return floats;
  }
}
