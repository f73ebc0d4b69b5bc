// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.List;
import org.blocksparse.internal.search.LogOdds;

/**
 * Turns margins into probabilities: sigmoid(slope * margin + intercept), fitted to margins of rows
 * that a model was not trained on (Platt, 1999), by Newton's method with halved steps (Lin, Lin and
 * Weng, 2007).
 *
 * @param slope positive, so that the order of margins is that of probabilities
 */
record Calibration(float slope, float intercept) {
  /**
   * Used without samples. With samples, it weighs as much as one of them, for margins divided by
   * their size.
   */
  private static final Calibration PRIOR = new Calibration(4, 0);

  /** The smallest slope, for margins divided by their size. */
  static final double SMALLEST_SLOPE = 0.125;

  private static final int MOST_STEPS = 50;

  /**
   * Margins, and the weights of their rows, which are 1 in the mean of all rows.
   *
   * @param positive whether the answer was yes
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Samples(double[] margins, float[] weights, boolean[] positive) {
    /** Returns all samples of some, in their order. */
    static Samples together(List<Samples> some) {
      int count = some.stream().mapToInt(each -> each.margins.length).sum();
      Samples all = new Samples(new double[count], new float[count], new boolean[count]);
      int at = 0;
      for (Samples each : some) {
        int size = each.margins.length;
        System.arraycopy(each.margins, 0, all.margins, at, size);
        System.arraycopy(each.weights, 0, all.weights, at, size);
        System.arraycopy(each.positive, 0, all.positive, at, size);
        at += size;
      }
      return all;
    }
  }

  /** Returns whether margins get probabilities in their order. */
  boolean isFinite() {
    return slope > 0 && Float.isFinite(slope) && Float.isFinite(intercept);
  }

  /** Returns the logarithm of the probability of a margin; never positive. */
  float logProbability(float margin) {
    return (float) LogOdds.logProbability(logit(margin));
  }

  /** Returns the log odds of a margin. */
  double logit(double margin) {
    return slope * margin + intercept;
  }

  /** Returns an upper bound of {@link #logProbability}. */
  float bound(float margin) {
    return (float) Math.min(logit(margin), 0);
  }

  /** Returns the best for some samples, whose order matters to the last bits. */
  static Calibration of(List<Samples> samples) {
    return new Fit(samples).best();
  }

  /** The logit is slope * (margin - mean) / unit + intercept here: margins of any size do. */
  private static final class Fit {
    final List<Samples> samples;
    final double mean;
    final double unit;

    /** The size of margins in units. */
    final double size;

    final double priorSlope;
    final double priorIntercept;

    Fit(List<Samples> samples) {
      this.samples = samples;
      double weights = 0;
      double sum = 0;
      for (Samples each : samples) {
        for (int i = 0; i < each.margins.length; i++) {
          weights += each.weights[i];
          sum += each.weights[i] * each.margins[i];
        }
      }
      mean = weights > 0 ? sum / weights : 0;
      double squares = 0;
      for (Samples each : samples) {
        for (int i = 0; i < each.margins.length; i++) {
          squares += each.weights[i] * Math.pow(each.margins[i] - mean, 2);
        }
      }
      double deviation = weights > 0 ? Math.sqrt(squares / weights) : 0;
      double all = Math.hypot(deviation, mean);
      unit = deviation > 0 ? deviation : all > 0 ? all : 1;
      size = all > 0 ? all / unit : 1;
      priorSlope = PRIOR.slope / size;
      priorIntercept = PRIOR.intercept + priorSlope * mean / unit;
    }

    Calibration best() {
      double slope = priorSlope;
      double intercept = priorIntercept;
      double loss = loss(slope, intercept);
      for (int step = 0; step < MOST_STEPS; step++) {
        // Cauchy's distribution as a normal one, of a variance that grows with the distance.
        double slopes = 1 / (1 + Math.pow(slope - priorSlope, 2));
        double intercepts = 1 / (1 + Math.pow(intercept - priorIntercept, 2));
        double gradientSlope = slopes * (slope - priorSlope);
        double gradientIntercept = intercepts * (intercept - priorIntercept);
        double both = 0;
        for (Samples each : samples) {
          for (int i = 0; i < each.margins.length; i++) {
            double margin = (each.margins[i] - mean) / unit;
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
        loss = loss(slope + stepSlope, intercept + stepIntercept);
        while (loss > before && part > 0x1p-20) {
          part /= 2;
          loss = loss(slope + part * stepSlope, intercept + part * stepIntercept);
        }
        slope += part * stepSlope;
        intercept += part * stepIntercept;
        if (before - loss <= 1e-9 * before) {
          break;
        }
      }
      double ofMargins = Math.max(SMALLEST_SLOPE / size, slope) / unit;
      return new Calibration(
          (float) Math.max(Float.MIN_VALUE, Math.min(Float.MAX_VALUE, ofMargins)),
          (float)
              Math.max(-Float.MAX_VALUE, Math.min(Float.MAX_VALUE, intercept - ofMargins * mean)));
    }

    double loss(double slope, double intercept) {
      double sum = 0.5 * Math.log1p(Math.pow(slope - priorSlope, 2));
      sum += 0.5 * Math.log1p(Math.pow(intercept - priorIntercept, 2));
      for (Samples each : samples) {
        for (int i = 0; i < each.margins.length; i++) {
          double logit = slope * (each.margins[i] - mean) / unit + intercept;
          double wrong = each.positive[i] ? -logit : logit;
          sum += each.weights[i] * (Math.max(wrong, 0) + Math.log1p(Math.exp(-Math.abs(wrong))));
        }
      }
      return sum;
    }
  }
}
