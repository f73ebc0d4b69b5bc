// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import org.blocksparse.Similarity;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.WeightType;

/**
 * The stored rows of a dense layer, one for each output. The caller leases all of them.
 *
 * @param w one block of features x outputs, packed or transposed
 * @param bias one for each output, or null
 * @param similarity the similarity of a row and a query, to which the bias is added
 */
public record DenseRows(Blocks w, Storage bias, Similarity similarity) {
  /** The number of sums that a product is divided into. */
  private static final int LANES = 8;

  int outputs() {
    return w.outSize();
  }

  int features() {
    return w.inSize();
  }

  /** Copies the row of an output out, as floats. */
  void get(int output, float[] row) {
    if (w.type().isPacked()) {
      for (int i = 0; i < row.length; i++) {
        row[i] = w.get(0, 0, i, output);
      }
      return;
    }
    long at = w.index(0, 0, 0, output);
    if (w.type() == WeightType.FLOAT32) {
      w.storage().getFloats(at, row, 0, row.length);
      return;
    }
    for (int i = 0; i < row.length; i++) {
      row[i] = w.type().get(w.storage(), at + i);
    }
  }

  float bias(int output) {
    return bias == null ? 0 : bias.getFloat(output);
  }

  /**
   * Returns the score of an output: its similarity in double, plus the bias, rounded once.
   *
   * @param squares the squares of the query, as {@link #product} adds them
   */
  float score(int output, float[] row, float[] x, double squares) {
    double value =
        switch (similarity) {
          case INNER_PRODUCT -> product(row, x);
          case COSINE -> cosine(product(row, x), product(row, row), squares);
          case SQUARED_DISTANCE -> -squaredDistance(row, x);
        };
    return (float) (value + bias(output));
  }

  private static double cosine(double product, double squares, double others) {
    return squares == 0 || others == 0 ? 0 : product / Math.sqrt(squares * others);
  }

  /**
   * Returns the inner product: products are exact in double; the sum of those of features i, i + 8,
   * i + 16 and so on is lane i; lanes are added in pairs. So the bits are the same everywhere.
   */
  static double product(float[] a, float[] b) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    double s4 = 0;
    double s5 = 0;
    double s6 = 0;
    double s7 = 0;
    int whole = a.length - a.length % LANES;
    for (int i = 0; i < whole; i += LANES) {
      s0 += (double) a[i] * b[i];
      s1 += (double) a[i + 1] * b[i + 1];
      s2 += (double) a[i + 2] * b[i + 2];
      s3 += (double) a[i + 3] * b[i + 3];
      s4 += (double) a[i + 4] * b[i + 4];
      s5 += (double) a[i + 5] * b[i + 5];
      s6 += (double) a[i + 6] * b[i + 6];
      s7 += (double) a[i + 7] * b[i + 7];
    }
    double sum = ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
    for (int i = whole; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  /** Returns the squared length of a difference, added as {@link #product} adds. */
  private static double squaredDistance(float[] a, float[] b) {
    double[] s = new double[LANES];
    int whole = a.length - a.length % LANES;
    for (int i = 0; i < whole; i += LANES) {
      for (int lane = 0; lane < LANES; lane++) {
        double difference = (double) a[i + lane] - b[i + lane];
        s[lane] += difference * difference;
      }
    }
    double sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    for (int i = whole; i < a.length; i++) {
      double difference = (double) a[i] - b[i];
      sum += difference * difference;
    }
    return sum;
  }

  /**
   * Returns a bound of the score of an output before it is rounded; NaN if there is none.
   *
   * @param product a bound of the inner product
   * @param sign 1 for upper bounds, -1 for lower ones
   * @param longest a length that the row does not exceed, nor falls below by more than its rounding
   * @param length the length of the query, in double
   * @param rounding the rounding of sums in double, relative to the sum of the magnitudes that are
   *     added
   */
  double bound(
      int output, double product, int sign, float longest, double length, double rounding) {
    double shortest = longest * (1 - 0x1p-22) - 0x1p-148;
    double shortestOfQuery = length * (1 - 0x1p-28);
    double value =
        switch (similarity) {
          case INNER_PRODUCT -> product;
          case COSINE -> {
            if (longest == 0 || length == 0) {
              yield 0;
            }
            if (!(shortest > 0)) {
              yield Double.NaN;
            }
            double cosine =
                product / (sign * product > 0 ? shortest * shortestOfQuery : longest * length);
            yield cosine + sign * rounding * Math.abs(cosine);
          }
          case SQUARED_DISTANCE -> {
            double row = sign > 0 ? Math.max(0, shortest) : longest;
            double query = sign > 0 ? shortestOfQuery : length;
            double most = (longest + length) * (longest + length);
            yield 2 * product - (row * row + query * query) + sign * rounding * most;
          }
        };
    return value + bias(output);
  }
}
