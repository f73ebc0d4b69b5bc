// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

/**
 * The metric by which {@linkplain TrainingOptions#withValidation validation} selects the best
 * model.
 */
enum ValidationMetric {
  /** Precision of the first label; nDCG at 5 decides between equals. */
  PRECISION_AT_1("P@1"),

  /** nDCG of the first five labels; precision at 1 decides between equals. */
  NDCG_AT_5("nDCG@5");

  private final String text;

  ValidationMetric(String text) {
    this.text = text;
  }

  /** Returns the printed name: P@1 or nDCG@5. */
  @Override
  public String toString() {
    return text;
  }
}
