// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Base64;

/**
 * The probability of the likeliest right label of each held-out example. It gives the threshold of
 * label sets that hold a right label in a wanted share of texts. This is split conformal prediction
 * (Angelopoulos and Bates, "A Gentle Introduction to Conformal Prediction and Distribution-Free
 * Uncertainty Quantification", 2021): with n held-out examples, the smallest but {@code floor((n +
 * 1) (1 - coverage)) - 1} of these probabilities.
 */
public final class PredictionSets {
  /** The maximum number of probabilities kept: more hardly change a threshold. */
  private static final int MOST = 1000;

  /** Logarithms of probabilities, ascending. */
  private final float[] right;

  private PredictionSets(float[] right) {
    this.right = right;
  }

  /**
   * Returns the sets that held-out examples promise.
   *
   * @param logProbabilities the largest of each example's right labels
   */
  public static PredictionSets of(float[] logProbabilities) {
    float[] sorted = logProbabilities.clone();
    Arrays.sort(sorted);
    if (sorted.length <= MOST) {
      return new PredictionSets(sorted);
    }
    float[] some = new float[MOST];
    for (int i = 0; i < MOST; i++) {
      some[i] = sorted[(int) ((2L * i + 1) * sorted.length / (2 * MOST))];
    }
    return new PredictionSets(some);
  }

  /**
   * Returns the threshold of sets that hold a right label in this share of texts; 0: of all labels.
   */
  double threshold(double coverage) {
    int misses = (int) Math.floor((right.length + 1) * (1 - coverage) + 1e-9); // tolerates rounding
    return misses < 1 ? 0 : Math.exp(right[Math.min(misses, right.length) - 1]);
  }

  /** Returns a text for the metadata of a file. */
  String encoded() {
    ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * right.length);
    bytes.asFloatBuffer().put(right);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes.array());
  }

  /**
   * Returns the sets that a text encodes.
   *
   * @throws IllegalArgumentException if it is not the text of ascending logarithms
   */
  static PredictionSets decode(String text) {
    FloatBuffer floats = ByteBuffer.wrap(Base64.getUrlDecoder().decode(text)).asFloatBuffer();
    float[] right = new float[floats.remaining()];
    floats.get(right);
    for (int i = 0; i < right.length; i++) {
      if (!(right[i] <= 0 && (i == 0 || right[i] >= right[i - 1]))) {
        throw new IllegalArgumentException(
            "expected ascending logarithms of probabilities but number " + i + " is " + right[i]);
      }
    }
    return new PredictionSets(right);
  }
}
