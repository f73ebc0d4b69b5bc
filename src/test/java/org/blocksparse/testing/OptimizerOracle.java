// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.blocksparse.testing.Bounded.U;

import java.util.List;
import org.blocksparse.Optimizer;

/**
 * Steps of an optimizer on one parameter in float64. Its state between the steps is stored as
 * intervals, since gradients are known only up to their error.
 */
public final class OptimizerOracle {
  /** A rule with its numbers. */
  public record Rule(Kind kind, float rate, float decay, float beta1, float beta2, float epsilon) {
    /** Rules of every kind. */
    public static final List<Rule> VARIOUS =
        List.of(
            new Rule(Kind.SGD, 0.5f, 0, 0, 0, 0),
            new Rule(Kind.SGD, 0.5f, 0.25f, 0, 0, 0),
            new Rule(Kind.ADAGRAD, 0.25f, 0, 0, 0, 1e-8f),
            new Rule(Kind.ADAGRAD, 0.25f, 0.125f, 0, 0, 1e-8f),
            new Rule(Kind.ADAM, 0.01f, 0, 0.9f, 0.999f, 1e-8f),
            new Rule(Kind.ADAM, 0.01f, 0.125f, 0.5f, 0.75f, 1e-3f));

    /** Returns a rule of a kind, with usual numbers. */
    public static Rule random(Kind kind, Data data) {
      float rate = (float) Math.exp(data.between(-7, -0.5f));
      float decay = data.below(2) == 0 ? 0 : data.between(0, 0.5f);
      float epsilon = data.below(2) == 0 ? 1e-8f : 1e-3f;
      float beta1 = data.below(4) == 0 ? 0 : data.between(0, 0.95f);
      return switch (kind) {
        case SGD -> new Rule(kind, rate, decay, 0, 0, 0);
        case ADAGRAD -> new Rule(kind, rate, decay, 0, 0, 1e-8f);
        case ADAM -> new Rule(kind, rate, decay, beta1, data.between(0, 0.999f), epsilon);
      };
    }

    /** Returns the optimizer of the library. */
    public Optimizer optimizer() {
      Optimizer optimizer =
          switch (kind) {
            case SGD -> Optimizer.sgd(rate);
            case ADAGRAD -> Optimizer.adagrad(rate);
            case ADAM -> Optimizer.adam(rate, beta1, beta2, epsilon);
          };
      return decay == 0 ? optimizer : optimizer.withDecay(decay);
    }

    /** Returns the rule for biases, which do not decay. */
    public Rule ofBiases() {
      return new Rule(kind, rate, 0, beta1, beta2, epsilon);
    }
  }

  /** Returns, for each element, whether its part of the whole is set; parts have equal size. */
  public static boolean[] touched(boolean[] parts, int size) {
    boolean[] touched = new boolean[size];
    for (int i = 0; i < size; i++) {
      touched[i] = parts[i / Math.max(1, size / parts.length)];
    }
    return touched;
  }

  /** The kind of a rule. */
  public enum Kind {
    SGD,
    ADAGRAD,
    ADAM
  }

  private final Rule rule;
  private final double[] firstLow;
  private final double[] firstHigh;
  private final double[] secondLow;
  private final double[] secondHigh;
  private final long[] steps;

  public OptimizerOracle(Rule rule, int size) {
    this.rule = rule;
    this.firstLow = new double[size];
    this.firstHigh = new double[size];
    this.secondLow = new double[size];
    this.secondHigh = new double[size];
    this.steps = new long[size];
  }

  /**
   * Returns the parameter after a step.
   *
   * @param touched which elements take part; the others must not change by a bit
   * @param roundings the roundings of a gradient that is added to its parameter in place
   */
  public Bounded step(float[] w, Bounded gradient, boolean[] touched, int roundings) {
    Bounded result = Bounded.zeros(gradient.shape());
    for (int i = 0; i < w.length; i++) {
      result.values()[i] = w[i];
      if (!touched[i]) {
        continue;
      }
      steps[i]++;
      double decayed = rule.decay * (double) w[i];
      double g = gradient.values()[i] + decayed;
      double bound =
          gradient.bounds()[i] + 3 * U * (Math.abs(g) + Math.abs(decayed)) + Float.MIN_VALUE;
      double low = g - bound;
      double high = g + bound;
      double[] change = change(i, low, high);
      double middle = (change[0] + change[1]) / 2;
      result.values()[i] -= middle;
      result.bounds()[i] =
          1.01 * (change[1] - change[0]) / 2
              + roundings
                  * U
                  * (Math.abs(w[i]) + Math.max(Math.abs(change[0]), Math.abs(change[1])))
              // Below the smallest normal number, a rounding error is up to half of the smallest
              // number.
              + (1 + roundings / 2.0) * Float.MIN_VALUE;
    }
    return result;
  }

  /** Returns the smallest and the largest change for a gradient in [low, high]. */
  private double[] change(int i, double low, double high) {
    double squareLow = low <= 0 && high >= 0 ? 0 : Math.min(low * low, high * high);
    double squareHigh = Math.max(low * low, high * high);
    switch (rule.kind) {
      case SGD:
        return new double[] {rule.rate * low, rule.rate * high};
      case ADAGRAD:
        {
          double[] change = {
            adagrad(low, low < 0 ? secondLow[i] : secondHigh[i]),
            adagrad(high, high < 0 ? secondHigh[i] : secondLow[i])
          };
          secondLow[i] = (secondLow[i] + squareLow) * (1 - 3 * U);
          secondHigh[i] = (secondHigh[i] + squareHigh) * (1 + 3 * U);
          return change;
        }
      default:
        {
          double keep1 = rule.beta1;
          double keep2 = rule.beta2;
          firstLow[i] = keep1 * firstLow[i] + (1 - keep1) * low;
          firstHigh[i] = keep1 * firstHigh[i] + (1 - keep1) * high;
          double room =
              4 * U * Math.max(Math.abs(firstLow[i]), Math.abs(firstHigh[i])) + Float.MIN_VALUE;
          firstLow[i] -= room;
          firstHigh[i] += room;
          secondLow[i] = (keep2 * secondLow[i] + (1 - keep2) * squareLow) * (1 - 4 * U);
          secondHigh[i] = (keep2 * secondHigh[i] + (1 - keep2) * squareHigh) * (1 + 4 * U);
          return new double[] {
            adam(i, firstLow[i], firstLow[i] < 0 ? secondLow[i] : secondHigh[i]),
            adam(i, firstHigh[i], firstHigh[i] < 0 ? secondHigh[i] : secondLow[i])
          };
        }
    }
  }

  private double adagrad(double g, double squaresBefore) {
    return rule.rate * g / (Math.sqrt(squaresBefore + g * g) + rule.epsilon);
  }

  private double adam(int i, double mean, double square) {
    double correctedMean = mean / (1 - Math.pow(rule.beta1, steps[i]));
    double correctedSquare = square / (1 - Math.pow(rule.beta2, steps[i]));
    return rule.rate * correctedMean / (Math.sqrt(correctedSquare) + rule.epsilon);
  }

  /**
   * Returns a gradient of parts that are clipped one by one: each is scaled down to the allowed
   * norm, which is known up to the gradient's error.
   *
   * @param part the elements of each
   */
  public static Bounded clipped(Bounded gradient, int part, double maxNorm) {
    Bounded result = Bounded.zeros(gradient.shape());
    for (int begin = 0; begin < gradient.values().length; begin += part) {
      double squares = 0;
      double errors = 0;
      for (int i = begin; i < begin + part; i++) {
        squares += gradient.values()[i] * gradient.values()[i];
        errors += gradient.bounds()[i] * gradient.bounds()[i];
      }
      double norm = Math.sqrt(squares);
      double error = Math.sqrt(errors) + (part + 4) * U * norm;
      double most = maxNorm < norm - error ? maxNorm / (norm - error) : 1;
      double least = maxNorm < norm + error ? maxNorm / (norm + error) : 1;
      for (int i = begin; i < begin + part; i++) {
        double value = gradient.values()[i];
        result.values()[i] = value * (most + least) / 2;
        result.bounds()[i] =
            most * gradient.bounds()[i] + Math.abs(value) * ((most - least) / 2 + 4 * U * most);
      }
    }
    return result;
  }
}
