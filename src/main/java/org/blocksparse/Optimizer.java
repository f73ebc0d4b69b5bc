// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

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

  /** The kinds of optimizers. Their names are written to files. */
  public enum Kind {
    SGD(0),
    ADAGRAD(1),
    ADAM(2);

    private final int moments;

    Kind(int moments) {
      this.moments = moments;
    }

    /** Returns the numbers of optimizer state for each parameter. */
    public int moments() {
      return moments;
    }

    /** Returns whether the optimizer state counts the steps of each block. */
    public boolean countsSteps() {
      return this == ADAM;
    }
  }

  private final Kind kind;
  private final float rate;
  private final float decay;
  private final float maxNorm;
  private final float beta1;
  private final float beta2;
  private final float epsilon;

  private Optimizer(
      Kind kind, float rate, float decay, float maxNorm, float beta1, float beta2, float epsilon) {
    if (!(decay >= 0 && decay < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("decay: expected a finite number >= 0 but was " + decay);
    }
    this.kind = kind;
    this.rate = positive("rate", rate);
    this.decay = decay;
    this.maxNorm = maxNorm;
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
  }

  private Optimizer with(float newRate, float newDecay, float newMaxNorm) {
    return new Optimizer(kind, newRate, newDecay, newMaxNorm, beta1, beta2, epsilon);
  }

  /**
   * Returns SGD: {@code w -= rate * gradient}.
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
   * Returns Adam with beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 (Kingma and Ba, 2015). The second
   * moment stays finite, and the magnitude of the first at most 1.5e20. Native kernels skip an
   * element whose gradient is larger than 5e20 (5.8e20 in its first step).
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public static Optimizer adam(float rate) {
    return adam(rate, 0.9f, 0.999f, 1e-8f);
  }

  /**
   * Returns Adam with all its parameters.
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
   * Returns the same optimizer with another learning rate, for schedules. The layer keeps its
   * optimizer state.
   *
   * @throws IllegalArgumentException unless the rate is positive and finite
   */
  public Optimizer withRate(float newRate) {
    return with(newRate, decay, maxNorm);
  }

  /**
   * Returns the same optimizer with {@code newDecay * w} added to the gradient of each updated
   * weight. Biases do not decay.
   *
   * @param newDecay finite and not negative; 0 is none
   * @throws IllegalArgumentException if it is not
   */
  public Optimizer withDecay(float newDecay) {
    return with(rate, newDecay, maxNorm);
  }

  /**
   * Returns the same optimizer with gradient clipping: a gradient whose Euclidean norm is larger is
   * scaled down to this norm. Each of these gradients is clipped separately: W1, b1, the block of
   * W2 and the row of b2 of each class, and each block of other weights and biases. (A global norm
   * would be known only after all classes, when their blocks have left the cache.) A norm above the
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
    return with(rate, decay, newMaxNorm);
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

  /** Returns the learning rate. */
  public float rate() {
    return rate;
  }

  /** Returns the kind. */
  public Kind kind() {
    return kind;
  }

  /** See {@link #withDecay}; 0 by default. */
  public float decay() {
    return decay;
  }

  /** See {@link #withMaxNorm}; infinite by default. */
  public float maxNorm() {
    return maxNorm;
  }

  /** Returns the decay rate of the mean gradient; 0 unless this is Adam. */
  public float beta1() {
    return beta1;
  }

  /** Returns the decay rate of the mean square; 0 unless this is Adam. */
  public float beta2() {
    return beta2;
  }

  /** Returns the number added to the root of the mean square; 0 for SGD. */
  public float epsilon() {
    return epsilon;
  }

  @Override
  public String toString() {
    return kind
        + "(rate = "
        + rate
        + (decay == 0 ? "" : ", decay = " + decay)
        + (maxNorm < NO_LIMIT ? ", maxNorm = " + maxNorm : "")
        + ")";
  }
}
