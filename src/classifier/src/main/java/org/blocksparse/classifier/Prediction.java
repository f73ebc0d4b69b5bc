// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * A label with its probability.
 *
 * @param label a label of the model, or {@link #NONE}
 * @param logProbability the natural logarithm of the probability
 */
public record Prediction(String label, float logProbability) {
  /** Stands for no label of the model; see {@link PredictionOptions#withNone}. */
  public static final String NONE = "(none)";

  /** Returns whether this is the prediction that no label of the model applies. */
  public boolean isNone() {
    return label.equals(NONE);
  }

  /** Returns the probability. */
  public double probability() {
    return Math.exp(logProbability);
  }

  /**
   * Returns whether the probability is at least a threshold. It compares logarithms that are
   * rounded to float, as {@link
   * org.blocksparse.softmax.TwoLevelLayer#atLeast(org.blocksparse.FloatTensor, double) atLeast}
   * does.
   */
  public boolean isAtLeast(double threshold) {
    return logProbability >= logThreshold(threshold);
  }

  /** Returns the least log probability that is at least a threshold. */
  static float logThreshold(double threshold) {
    return (float) Math.log(threshold);
  }
}
