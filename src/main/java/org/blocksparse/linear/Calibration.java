// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.List;

/**
 * Turns margins into probabilities: sigmoid(slope * margin + intercept), fitted to margins of rows
 * that a model was not trained on (Platt, 1999), by Newton's method with halved steps (Lin, Lin and
 * Weng, 2007).
 *
 * @param slope positive, so that the order of margins is that of probabilities
 */
record Calibration(float slope, float intercept) {
  /** Used without samples; with samples it weighs as much as one of them. */
  private static final Calibration PRIOR = new Calibration(4, 0);

  private static final float SMALLEST_SLOPE = 0.125f;
  private static final int MOST_STEPS = 50;

  /**
   * Margins, and the weights of their rows.
   *
   * @param positive whether the answer was yes
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Samples(float[] margins, float[] weights, boolean[] positive) {}

  /** The logarithm of the probability of a margin; never positive. */
  float logProbability(float margin) {
    double logit = (double) slope * margin + intercept;
    // log sigmoid, of which no part overflows
    return (float) (Math.min(logit, 0) - Math.log1p(Math.exp(-Math.abs(logit))));
  }

  /** An upper bound of {@link #logProbability}. */
  float bound(float margin) {
    return (float) Math.min((double) slope * margin + intercept, 0);
  }

  /** The best for some samples, whose order matters to the last bits. */
  static Calibration of(List<Samples> samples) {
    double slope = PRIOR.slope;
    double intercept = PRIOR.intercept;
    double loss = loss(samples, slope, intercept);
    for (int step = 0; step < MOST_STEPS; step++) {
      double gradientSlope = slope - PRIOR.slope;
      double gradientIntercept = intercept - PRIOR.intercept;
      double slopes = 1;
      double intercepts = 1;
      double both = 0;
      for (Samples each : samples) {
        for (int i = 0; i < each.margins.length; i++) {
          double margin = each.margins[i];
          double probability = 1 / (1 + Math.exp(-(slope * margin + intercept)));
          double error = each.weights[i] * (probability - (each.positive[i] ? 1 : 0));
          double curvature = each.weights[i] * probability * (1 - probability);
          gradientSlope += error * margin;
          gradientIntercept += error;
          slopes += curvature * margin * margin;
          intercepts += curvature;
          both += curvature * margin;
        }
      }
      double determinant = slopes * intercepts - both * both;
      double stepSlope = (both * gradientIntercept - intercepts * gradientSlope) / determinant;
      double stepIntercept = (both * gradientSlope - slopes * gradientIntercept) / determinant;
      double before = loss;
      double part = 1;
      loss = loss(samples, slope + stepSlope, intercept + stepIntercept);
      while (loss > before && part > 0x1p-20) {
        part /= 2;
        loss = loss(samples, slope + part * stepSlope, intercept + part * stepIntercept);
      }
      slope += part * stepSlope;
      intercept += part * stepIntercept;
      if (before - loss <= 1e-9 * before) {
        break;
      }
    }
    return new Calibration(Math.max(SMALLEST_SLOPE, (float) slope), (float) intercept);
  }

  private static double loss(List<Samples> samples, double slope, double intercept) {
    double sum = (Math.pow(slope - PRIOR.slope, 2) + Math.pow(intercept - PRIOR.intercept, 2)) / 2;
    for (Samples each : samples) {
      for (int i = 0; i < each.margins.length; i++) {
        double logit = slope * each.margins[i] + intercept;
        double wrong = each.positive[i] ? -logit : logit;
        sum += each.weights[i] * (Math.max(wrong, 0) + Math.log1p(Math.exp(-Math.abs(wrong))));
      }
    }
    return sum;
  }
}
