// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.blocksparse.testing.Bounded.U;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.blocksparse.softmax.SoftmaxGradients;

/**
 * The two-level softmax in float64, output by output, with the error bounds of a float computation.
 *
 * <p>Errors are to first order in 2^-24, with a margin for the second order; all vanish as a
 * probability approaches 1, or as its logit approaches the largest. A logit is a sum of features +
 * 1 terms. If logits are off by d, then log p is off by at most the mean of d[j] + d over all
 * others under the softmax. The softmax itself adds roundings of each logit's distance from the
 * largest, 2 ulp of each exponential and one of the sum without the largest.
 */
public final class SoftmaxOracle {
  /** The minimized loss. */
  @SuppressWarnings("ArrayRecordComponent")
  public record Loss(boolean mean, Integer ignored, double smoothing, float[] weights) {
    public static Loss ofMean() {
      return new Loss(true, null, 0, null);
    }
  }

  /** The loss and its gradients. */
  public record Gradients(
      double loss, double lossBound, Bounded x, Bounded W1, Bounded b1, Bounded W2, Bounded b2) {
    /** Fails unless all of them are within their bounds; closes them. */
    public void assertHold(SoftmaxGradients actual) {
      try (actual) {
        assertEquals(loss, actual.loss(), lossBound, "loss");
        x.assertHolds("gradX", actual.x());
        W1.assertHolds("gradW1", actual.W1());
        b1.assertHolds("gradB1", actual.b1());
        W2.assertHolds("gradW2", actual.W2());
        b2.assertHolds("gradB2", actual.b2());
      }
    }
  }

  /** A softmax over some logits of one row. */
  private static final class Level {
    final double[] logits;
    final double[] logP;
    final double[] p;

    /** The errors of log p due to rounded distances, and to sums. */
    final double[] bounds;

    final double max;
    final double logSum;

    Level(SoftmaxProblem.Logits of, int features) {
      this.logits = of.values();
      int n = logits.length;
      double[] logitBounds = new double[n];
      this.logP = new double[n];
      this.p = new double[n];
      this.bounds = new double[n];
      int largest = 0;
      for (int q = 1; q < n; q++) {
        largest = logits[q] > logits[largest] ? q : largest;
      }
      this.max = logits[largest];
      double rest = 0;
      double rounding = 0;
      for (int q = 0; q < n; q++) {
        double exponential = Math.exp(logits[q] - max);
        rest += q == largest ? 0 : exponential;
        rounding += exponential * U * (max - logits[q]);
      }
      this.logSum = Math.log1p(rest);
      double logSumBound = (6 * U * rest + rounding + n * (Float.MIN_VALUE / 2.0)) / (1 + rest);
      for (int q = 0; q < n; q++) {
        logP[q] = logits[q] - max - logSum;
        p[q] = Math.exp(logP[q]);
        logitBounds[q] = Math.expm1(of.bound(q, features));
      }
      for (int q = 0; q < n; q++) {
        for (int other = 0; other < n; other++) {
          double both = logitBounds[q] + logitBounds[other] * (1 + logitBounds[q]);
          bounds[q] += other == q ? 0 : p[other] * both;
        }
        bounds[q] += logSumBound + U * (max - logits[q]);
      }
    }

    /** Returns the difference of the probability to 1. */
    double lacking(int q) {
      double sum = 0;
      for (int other = 0; other < logP.length; other++) {
        sum += other == q ? 0 : p[other];
      }
      return sum;
    }

    /** Returns the error bound of that difference. */
    double lackingBound(int q) {
      double sum = 0;
      for (int other = 0; other < logP.length; other++) {
        sum += other == q ? 0 : probabilityBound(other);
      }
      return sum;
    }

    /** Returns the absolute error bound of the probability. */
    double probabilityBound(int q) {
      return p[q] * relativeBound(q) + 4 * Float.MIN_VALUE;
    }

    /** Returns its relative error bound: 2 ulp of the exponential, and roundings of factors. */
    double relativeBound(int q) {
      return Math.expm1(1.01 * (bounds[q] + 8 * U));
    }

    /** Returns the error bound of a log probability that is computed by sums of this size. */
    double logBound(int q, double offset) {
      return 1.01 * (bounds[q] + U * (Math.abs(offset - logSum) + Math.abs(offset + logP[q])));
    }
  }

  private final SoftmaxProblem p;
  private final int[] sizes;
  private final int[] slotOf;
  private final Level[] classLevels;
  private final Level[][] slotLevels;

  /**
   * @param padded whether slots without an output take part, as in Theano
   */
  public SoftmaxOracle(SoftmaxProblem p, boolean padded) {
    this.p = p;
    this.sizes = p.sizes();
    this.slotOf = p.slotOf();
    this.classLevels = new Level[p.batch()];
    this.slotLevels = new Level[p.batch()][p.classes()];
    for (int row = 0; row < p.batch(); row++) {
      classLevels[row] = new Level(p.classLogits(row), p.features());
      for (int c = 0; c < p.classes(); c++) {
        slotLevels[row][c] =
            new Level(p.slotLogits(row, c, padded ? p.slots() : sizes[c]), p.features());
      }
    }
  }

  private double logP(int row, int output) {
    int c = p.classOf()[output];
    return classLevels[row].logP[c] + slotLevels[row][c].logP[slotOf[output]];
  }

  private void setProbability(Bounded to, int at, int row, int output) {
    int c = p.classOf()[output];
    double bound =
        classLevels[row].relativeBound(c) + slotLevels[row][c].relativeBound(slotOf[output]);
    double probability = Math.exp(logP(row, output));
    to.values()[at] = probability;
    to.bounds()[at] = 1.01 * probability * bound + 8 * Float.MIN_VALUE;
  }

  private void setLogProbability(Bounded to, int at, int row, int output) {
    int c = p.classOf()[output];
    Level byClass = classLevels[row];
    to.values()[at] = logP(row, output);
    to.bounds()[at] =
        byClass.logBound(c, 0) + slotLevels[row][c].logBound(slotOf[output], byClass.logP[c]);
  }

  /** Returns the probabilities, (batch, outputs). */
  public Bounded probabilities() {
    Bounded result = Bounded.zeros(p.batch(), p.outputs());
    for (int at = 0; at < result.values().length; at++) {
      setProbability(result, at, at / p.outputs(), at % p.outputs());
    }
    return result;
  }

  /** Returns the log probabilities, (batch, outputs). */
  public Bounded logProbabilities() {
    Bounded result = Bounded.zeros(p.batch(), p.outputs());
    for (int at = 0; at < result.values().length; at++) {
      setLogProbability(result, at, at / p.outputs(), at % p.outputs());
    }
    return result;
  }

  /** Returns the probabilities of the targets, (batch). */
  public Bounded targetProbabilities() {
    Bounded result = Bounded.zeros(p.batch());
    for (int row = 0; row < p.batch(); row++) {
      setProbability(result, row, row, p.targets()[row]);
    }
    return result;
  }

  /** Returns the log probabilities of the targets, (batch). */
  public Bounded targetLogProbabilities() {
    Bounded result = Bounded.zeros(p.batch());
    for (int row = 0; row < p.batch(); row++) {
      setLogProbability(result, row, row, p.targets()[row]);
    }
    return result;
  }

  /**
   * The cross entropy of one level: loss, gradient with respect to its logits, and their bounds.
   */
  private static final class CrossEntropy {
    final double[] gradients;
    final double[] bounds;
    double loss;
    double lossBound;

    CrossEntropy(
        Level level, int target, double smoothing, double[] prior, double weight, double rounding) {
      int n = level.logits.length;
      this.gradients = new double[n];
      this.bounds = new double[n];
      for (int q = 0; q < n; q++) {
        double share = smoothing * (prior == null ? 1.0 / n : prior[q]);
        double wanted = (q == target ? 1 - smoothing : 0) + share;
        double error;
        if (q == target) {
          double lacking = level.lacking(q);
          gradients[q] = weight * (smoothing - share - lacking);
          error = level.lackingBound(q) + 8 * U * (lacking + smoothing);
        } else {
          gradients[q] = weight * (level.p[q] - share);
          error = level.probabilityBound(q) + 8 * U * (level.p[q] + share);
        }
        error += rounding * (level.p[q] + wanted);
        bounds[q] = 1.01 * Math.abs(weight) * error + Float.MIN_VALUE;
        loss -= wanted * level.logP[q];
        lossBound +=
            wanted * (level.bounds[q] + 8 * U * (level.logSum + level.max - level.logits[q]));
      }
      lossBound = 1.01 * lossBound + U * Math.abs(loss);
    }
  }

  /** Returns the loss alone, by its definition. */
  public double loss(Loss loss) {
    double sum = 0;
    double[] weights = weights(loss);
    for (int row = 0; row < p.batch(); row++) {
      if (weights[row] != 0) {
        int c = p.classOf()[p.targets()[row]];
        sum +=
            weights[row]
                * (new CrossEntropy(classLevels[row], c, loss.smoothing, prior(), 1, 0).loss
                    + new CrossEntropy(
                            slotLevels[row][c],
                            slotOf[p.targets()[row]],
                            loss.smoothing,
                            null,
                            1,
                            0)
                        .loss);
      }
    }
    return sum;
  }

  private double[] prior() {
    double[] prior = new double[p.classes()];
    for (int c = 0; c < prior.length; c++) {
      prior[c] = (double) sizes[c] / p.outputs();
    }
    return prior;
  }

  private boolean counts(int row, Loss loss) {
    return loss.ignored == null || p.targets()[row] != loss.ignored;
  }

  private double[] weights(Loss loss) {
    int counted = 0;
    for (int row = 0; row < p.batch(); row++) {
      counted += counts(row, loss) ? 1 : 0;
    }
    double[] weights = new double[p.batch()];
    for (int row = 0; row < p.batch(); row++) {
      if (counts(row, loss)) {
        weights[row] =
            (loss.mean ? 1.0 / counted : 1) * (loss.weights == null ? 1 : loss.weights[row]);
      }
    }
    return weights;
  }

  /** Returns the loss and its gradients, row by row. */
  public Gradients gradients(Loss loss) {
    return gradients(loss, 0);
  }

  /**
   * Returns the loss and its gradients, with bounds for values that are themselves differences of
   * rounded numbers: of probabilities and 1.
   *
   * @param rounding the error of each difference, relative to the sum of both
   */
  public Gradients gradients(Loss loss, double rounding) {
    int features = p.features();
    int classes = p.classes();
    int slots = p.slots();
    BoundedSum x = new BoundedSum(classes + slots + 2, p.batch(), features);
    BoundedSum W1 = new BoundedSum(p.batch() + 1, features, classes);
    BoundedSum b1 = new BoundedSum(p.batch() + 1, classes);
    BoundedSum W2 = new BoundedSum(p.batch() + 1, classes, features, slots);
    BoundedSum b2 = new BoundedSum(p.batch() + 1, classes, slots);
    double[] weights = weights(loss);
    double total = 0;
    double totalBound = 0;
    for (int row = 0; row < p.batch(); row++) {
      // A weight is the product of two rounded numbers.
      double w = weights[row];
      if (w == 0) {
        continue;
      }
      int target = p.targets()[row];
      int c = p.classOf()[target];
      CrossEntropy byClass =
          new CrossEntropy(classLevels[row], c, loss.smoothing, prior(), w, rounding);
      CrossEntropy bySlot =
          new CrossEntropy(slotLevels[row][c], slotOf[target], loss.smoothing, null, w, rounding);
      total += w * (byClass.loss + bySlot.loss);
      totalBound +=
          Math.abs(w)
              * (byClass.lossBound + bySlot.lossBound + 3 * U * (byClass.loss + bySlot.loss));
      for (int k = 0; k < classes; k++) {
        double g = byClass.gradients[k];
        double bound = byClass.bounds[k];
        b1.add(k, 1, g, bound);
        for (int f = 0; f < features; f++) {
          W1.add(f * classes + k, p.x()[row * features + f], g, bound);
          x.add(row * features + f, p.W1()[f * classes + k], g, bound);
        }
      }
      for (int q = 0; q < sizes[c]; q++) {
        double g = bySlot.gradients[q];
        double bound = bySlot.bounds[q];
        b2.add(c * slots + q, 1, g, bound);
        for (int f = 0; f < features; f++) {
          int at = (c * features + f) * slots + q;
          W2.add(at, p.x()[row * features + f], g, bound);
          x.add(row * features + f, p.W2()[at], g, bound);
        }
      }
    }
    return new Gradients(
        total, totalBound, x.result(), W1.result(), b1.result(), W2.result(), b2.result());
  }
}
