// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * The metric by which {@linkplain TrainingOptions#withValidation validation} finds the best model.
 */
public enum ValidationMetric {
  /** Precision of the first label. Models with the same are compared by nDCG at 5. */
  PRECISION_AT_1("P@1"),

  /** nDCG of the first five labels. Models with the same are compared by precision at 1. */
  NDCG_AT_5("nDCG@5"),

  /**
   * Micro F1 at the threshold that is {@linkplain Decisions#bestThreshold best} for each model. It
   * takes one more search of all labels for each example.
   */
  F1("F1");

  private final String text;

  ValidationMetric(String text) {
    this.text = text;
  }

  /** As it is printed: P@1, nDCG@5 or F1. */
  @Override
  public String toString() {
    return text;
  }
}
