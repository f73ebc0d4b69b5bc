// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.kernels.UpdateRule;
import org.blocksparse.internal.kernels.UpdateRule.Kind;

/**
 * An optimizer: SGD, Adagrad or lazy Adam, with its learning rate and options. Immutable; the layer
 * holds the optimizer state.
 *
 * <p>A step updates only the used part of the parameters: the classes of the targets, the rows of
 * an {@link org.blocksparse.bag.EmbeddingBag} that the batch lists, or the blocks that a plan
 * selects. Other parts do not decay, and their moments do not change. This is lazy Adam: bias
 * correction uses the number of steps of each class, row or block, and for an output that was added
 * to a class, the number of its own steps.
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
   * of squares stays finite, even if a gradient is larger than 1.8e19.
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public static Optimizer adagrad(float rate) {
    return new Optimizer(Kind.ADAGRAD, rate, 0, NO_LIMIT, 0, 0, 1e-8f);
  }

  /**
   * Adam with beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 (Kingma and Ba, 2015). The second moment
   * stays finite, and the magnitude of the first at most 1.5e20. Native kernels skip an element
   * whose gradient is larger than 5e20 (5.8e20 in its first step).
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public static Optimizer adam(float rate) {
    return adam(rate, 0.9f, 0.999f, 1e-8f);
  }

  /**
   * Adam with all its parameters.
   *
   * @param beta1 the decay rate of the mean gradient, in [0, 1)
   * @param beta2 the decay rate of the mean square, in [0, 1)
   * @param epsilon positive and finite; added to the root of the mean square. The minimum is
   *     2<sup>-75</sup> (2.6e-23); smaller values count as that, because the mean square of a
   *     smaller root underflows. If the mean square of an element underflows, its step is at most
   *     1.1 * rate / sqrt(1 - beta2), provided that beta1<sup>2</sup> is at most beta2
   * @throws IllegalArgumentException if an argument is outside its range
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
   * The same optimizer with another learning rate, for schedules. The layer keeps its optimizer
   * state.
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public Optimizer withRate(float newRate) {
    return with(newRate, rule.decay(), rule.maxNorm());
  }

  /**
   * The same optimizer with {@code newDecay * w} added to the gradient of each updated weight.
   * Biases do not decay.
   *
   * @param newDecay finite and not negative; 0 is none
   * @throws IllegalArgumentException if it is not
   */
  public Optimizer withDecay(float newDecay) {
    return with(rule.rate(), newDecay, rule.maxNorm());
  }

  /**
   * The same optimizer with gradient clipping: a gradient whose Euclidean norm is larger is scaled
   * down to this norm. Each of these gradients is clipped separately: W1, b1, the block of W2 and
   * the row of b2 of each class, and each block of other weights and biases. (A global norm would
   * be known only after all classes, when their blocks have left the cache.) A norm above the
   * largest float counts as the largest float, so such a gradient stays longer than {@code
   * newMaxNorm}. The scale factor is a float: below 2<sup>-126</sup> it loses precision, and a
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
  public float rate() {
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
