// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.UpdateRule.Kind;

/**
 * An optimizer: SGD, Adagrad or lazy Adam with its rate and options. Immutable; the layer holds the
 * optimizer state.
 *
 * <p>Only the classes that occur among the targets are touched in a step, of an {@link
 * EmbeddingBag} only the rows that are named, and of other weights only the blocks that a plan
 * selects; so the others do not decay, and their moments do not change. For Adam this is its lazy
 * form: the moments of a class or row are corrected by the number of steps that it has taken
 * itself, and those of an output that was added to a class by the number of its own.
 */
public final class Optimizer {
  private static final float NO_LIMIT = Float.POSITIVE_INFINITY;

  private final UpdateRule rule;

  private Optimizer(
      Kind kind, float rate, float decay, float maxNorm, float beta1, float beta2, float epsilon) {
    if (!(decay >= 0 && decay < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("decay: expected a finite number >= 0 but was " + decay);
    }
    this.rule = new UpdateRule(kind, positive("rate", rate), decay, maxNorm, beta1, beta2, epsilon);
  }

  private Optimizer with(float rate, float decay, float maxNorm) {
    return new Optimizer(
        rule.kind(), rate, decay, maxNorm, rule.beta1(), rule.beta2(), rule.epsilon());
  }

  /**
   * {@code w -= rate * gradient}.
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public static Optimizer sgd(float rate) {
    return new Optimizer(Kind.SGD, rate, 0, NO_LIMIT, 0, 0, 0);
  }

  /**
   * {@code s += gradient^2; w -= rate * gradient / (sqrt(s) + 1e-8)} (Duchi et al., 2011). The sum
   * of squares stays finite, also where a gradient is beyond 1.8e19.
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public static Optimizer adagrad(float rate) {
    return new Optimizer(Kind.ADAGRAD, rate, 0, NO_LIMIT, 0, 0, 1e-8f);
  }

  /**
   * Adam with beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 (Kingma and Ba, 2015). The mean of squares
   * stays finite, and the mean within 1.5e20; native kernels make no step of an element whose
   * gradient is beyond 5e20 (without moments yet 5.8e20).
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public static Optimizer adam(float rate) {
    return adam(rate, 0.9f, 0.999f, 1e-8f);
  }

  /**
   * Adam with all of its parameters.
   *
   * @param beta1 how much of the mean gradient is kept in each step, in [0, 1)
   * @param beta2 how much of the mean square is kept in each step, in [0, 1)
   * @param epsilon positive and finite; added to the root of the mean square. Less than
   *     2<sup>-75</sup>, 2.6e-23, counts as that, which is what a float loses of such a root: a
   *     step of an element whose squares are lost stays below 1.1 * rate / sqrt(1 - beta2) where
   *     beta1<sup>2</sup> is at most beta2
   * @throws IllegalArgumentException if a number is outside its range
   */
  public static Optimizer adam(float rate, float beta1, float beta2, float epsilon) {
    return new Optimizer(
        Kind.ADAM,
        rate,
        0,
        NO_LIMIT,
        fraction("beta1", beta1),
        fraction("beta2", beta2),
        positive("epsilon", epsilon));
  }

  /**
   * The same rule with another learning rate, for schedules. The layer keeps its optimizer state.
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public Optimizer withRate(float newRate) {
    return with(newRate, rule.decay(), rule.maxNorm());
  }

  /**
   * The same rule with {@code newDecay * w} added to every gradient of a weight that is touched.
   * Biases do not decay.
   *
   * @param newDecay finite and not negative; 0 is none
   * @throws IllegalArgumentException if it is not
   */
  public Optimizer withDecay(float newDecay) {
    return with(rule.rate(), newDecay, rule.maxNorm());
  }

  /**
   * The same rule with gradients clipped: that of W1, that of b1, that of each class's block of W2
   * and row of b2, and that of each block of other weights and biases, each on its own, is scaled
   * down to this Euclidean length if it is longer. (A norm over all of them together would be known
   * only when all classes are done, and their blocks long out of the cache.) A length beyond the
   * largest float is taken as the largest float: such a gradient stays longer than {@code
   * newMaxNorm}. The factor of a gradient is a float: below 2<sup>-126</sup> it loses digits, and a
   * gradient that is more than 2<sup>149</sup> times too long becomes 0.
   *
   * @param newMaxNorm positive; infinite: no limit
   * @throws IllegalArgumentException if it is not positive
   */
  public Optimizer withMaxNorm(float newMaxNorm) {
    if (!(newMaxNorm > 0)) {
      throw new IllegalArgumentException("maxNorm: expected a number > 0 but was " + newMaxNorm);
    }
    return with(rule.rate(), rule.decay(), newMaxNorm);
  }

  private static float positive(String name, float value) {
    if (!(value > 0 && value < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(name + ": expected a finite number > 0 but was " + value);
    }
    return value;
  }

  private static float fraction(String name, float value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(name + ": expected a number in [0, 1) but was " + value);
    }
    return value;
  }

  /** The learning rate. */
  float rate() {
    return rule.rate();
  }

  UpdateRule rule() {
    return rule;
  }

  @Override
  public String toString() {
    return rule.kind()
        + "(rate = "
        + rule.rate()
        + (rule.decay() == 0 ? "" : ", decay = " + rule.decay())
        + (rule.isClipping() ? ", maxNorm = " + rule.maxNorm() : "")
        + ")";
  }
}
