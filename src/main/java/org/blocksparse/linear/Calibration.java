// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.List;
import org.blocksparse.internal.search.LogOdds;
import org.blocksparse.internal.search.Newton;

/**
 * Turns margins into probabilities: sigmoid(slope * margin + intercept), fitted to margins of rows
 * that a model was not trained on (Platt, 1999), by Newton's method with halved steps (Lin, Lin and
 * Weng, 2007).
 *
 * @param slope positive, so that the order of margins is that of probabilities
 */
record Calibration(float slope, float intercept) {
  /**
   * The calibration without samples. With samples, it weighs as much as one of them, for margins
   * divided by their size.
   */
  private static final Calibration PRIOR = new Calibration(4, 0);

  /** The smallest slope, for margins divided by their size. */
  static final double SMALLEST_SLOPE = 0.125;

  /**
   * Margins, and the weights of their rows, whose mean is 1 over all rows.
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

  /**
   * A fit whose logit is slope * (margin - mean) / unit + intercept, so that margins may have any
   * size.
   */
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
      double[] start = {priorSlope, priorIntercept};
      double[] best = Newton.minimum(start, this::loss);
      double ofMargins = Math.max(SMALLEST_SLOPE / size, best[0]) / unit;
      double intercept = best[1] - ofMargins * mean;
      return new Calibration(
          (float) Math.max(Float.MIN_VALUE, Math.min(Float.MAX_VALUE, ofMargins)),
          (float) Math.max(-Float.MAX_VALUE, Math.min(Float.MAX_VALUE, intercept)));
    }

    private double loss(double[] at, double[][] equations) {
      double loss = prior(0, at[0] - priorSlope, equations);
      loss += prior(1, at[1] - priorIntercept, equations);
      for (Samples each : samples) {
        for (int i = 0; i < each.margins.length; i++) {
          double margin = (each.margins[i] - mean) / unit;
          double logit = at[0] * margin + at[1];
          double wrong = each.positive[i] ? -logit : logit;
          loss += each.weights[i] * (Math.max(wrong, 0) + Math.log1p(Math.exp(-Math.abs(wrong))));
          if (equations != null) {
            double probability = 1 / (1 + Math.exp(-logit));
            double error = each.weights[i] * (probability - (each.positive[i] ? 1 : 0));
            double curvature = each.weights[i] * probability * (1 - probability);
            equations[0][0] += curvature * margin * margin;
            equations[0][1] += curvature * margin;
            equations[0][2] += error * margin;
            equations[1][1] += curvature;
            equations[1][2] += error;
          }
        }
      }
      if (equations != null) {
        equations[1][0] = equations[0][1];
      }
      return loss;
    }

    /**
     * Returns the loss of a number under Cauchy's distribution. Its curvature is that of the normal
     * distribution with the same slope there, which is never negative.
     */
    private static double prior(int number, double distance, double[][] equations) {
      double curvature = 1 / (1 + distance * distance);
      if (equations != null) {
        equations[number][number] += curvature;
        equations[number][2] += curvature * distance;
      }
      return 0.5 * Math.log1p(distance * distance);
    }
  }
}
