// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.WeightType;

/**
 * The rows of a dense layer, one for each output, as they are stored. All are leased by the caller.
 *
 * @param w one block of features x outputs, packed or transposed
 * @param bias one for each output, or null
 */
public record DenseRows(Blocks w, Storage bias) {
  /** Sums that a product is cut into. */
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
   * Returns the score of an output: products are exact in double; the sum of those of features i, i
   * + 8, i + 16 and so on is lane i; lanes are added in pairs, then the bias, and the sum is
   * rounded once. So the bits are the same everywhere.
   */
  float score(int output, float[] row, float[] x) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    double s4 = 0;
    double s5 = 0;
    double s6 = 0;
    double s7 = 0;
    int whole = row.length - row.length % LANES;
    for (int i = 0; i < whole; i += LANES) {
      s0 += (double) row[i] * x[i];
      s1 += (double) row[i + 1] * x[i + 1];
      s2 += (double) row[i + 2] * x[i + 2];
      s3 += (double) row[i + 3] * x[i + 3];
      s4 += (double) row[i + 4] * x[i + 4];
      s5 += (double) row[i + 5] * x[i + 5];
      s6 += (double) row[i + 6] * x[i + 6];
      s7 += (double) row[i + 7] * x[i + 7];
    }
    double sum = ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
    for (int i = whole; i < row.length; i++) {
      sum += (double) row[i] * x[i];
    }
    return (float) (sum + bias(output));
  }
}
