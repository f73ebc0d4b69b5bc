// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

/**
 * The metrics of a model on the validation examples.
 *
 * @param precision at 1
 * @param ndcg at 5
 * @param f1 micro F1 at the best threshold; NaN if it was not measured
 * @param threshold the best one; NaN if it was not measured
 */
record ValidationScores(double precision, double ndcg, double f1, double threshold) {
  /** The scores of no model. */
  static final ValidationScores NONE =
      new ValidationScores(
          Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN);

  double by(ValidationMetric metric) {
    return switch (metric) {
      case PRECISION_AT_1 -> precision;
      case NDCG_AT_5 -> ndcg;
    };
  }

  /**
   * Returns whether these are better. On few examples precision at 1 stays the same for epochs in
   * which the model still gets better, so another metric decides between equals.
   */
  boolean areAbove(ValidationScores that, ValidationMetric metric) {
    double here = by(metric);
    double there = that.by(metric);
    return here > there || (here == there && tieBreak(metric) > that.tieBreak(metric));
  }

  private double tieBreak(ValidationMetric metric) {
    return metric == ValidationMetric.NDCG_AT_5 ? precision : ndcg;
  }
}
