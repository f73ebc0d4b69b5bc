// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * A label, and how likely it is: that it is the label, were there exactly one; of a {@linkplain
 * TrainingOptions#withLabelTree label tree}, that it is there, whatever others are.
 *
 * @param logProbability the natural logarithm of the probability
 */
public record Prediction(String label, float logProbability) {
  /** The probability. */
  public double probability() {
    return Math.exp(logProbability);
  }

  /**
   * Whether the probability is at least a number, as {@link
   * org.blocksparse.softmax.TwoLevelLayer#atLeast(org.blocksparse.FloatTensor, double) atLeast}
   * compares: by logarithms, both rounded to float.
   */
  public boolean isAtLeast(double threshold) {
    return logProbability >= logThreshold(threshold);
  }

  /** The least log probability that is at least a threshold. */
  static float logThreshold(double threshold) {
    return (float) Math.log(threshold);
  }
}
