// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import org.blocksparse.classifier.Decisions;

/**
 * The metric by which {@linkplain TrainingOptions#withValidation validation} selects the best
 * model.
 */
public enum ValidationMetric {
  /** Precision of the first label; nDCG at 5 decides between equals. */
  PRECISION_AT_1("P@1"),

  /** nDCG of the first five labels; precision at 1 decides between equals. */
  NDCG_AT_5("nDCG@5"),

  /**
   * Micro F1 at the {@linkplain Decisions#bestThreshold best threshold} of each model. It takes one
   * more search for each example.
   */
  F1("F1");

  private final String text;

  ValidationMetric(String text) {
    this.text = text;
  }

  /** Returns the printed name: P@1, nDCG@5 or F1. */
  @Override
  public String toString() {
    return text;
  }
}
