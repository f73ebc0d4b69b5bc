// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Activation;

/** Activations and their derivatives in double, for {@link JavaRowKernels}. */
final class JavaActivations {
  private static final double ROOT_HALF = Math.sqrt(0.5);
  private static final double NORMAL_DENSITY_AT_0 = 1 / Math.sqrt(2 * Math.PI);
  private static final double GELU_TANH_SCALE = Math.sqrt(2 / Math.PI);
  private static final double GELU_TANH_CUBE = 0.044715;

  private static final double CLAMPED_STEEPNESS = 1.702;
  private static final double CLAMPED_LIMIT = 7;

  private JavaActivations() {}

  /** Returns the function at z; of a gated one, that of the first half. */
  static double value(Activation function, double z) {
    return switch (function) {
      case IDENTITY -> z;
      case RELU -> Math.max(0, z);
      case GELU, GEGLU -> z * normalCumulative(z);
      case GELU_TANH, GEGLU_TANH -> z * logistic(2 * geluTanhArgument(z));
      case SILU, SWIGLU -> z * logistic(z);
      case TANH -> Math.tanh(z);
      case SIGMOID -> logistic(z);
      case CLAMPED_SWIGLU -> {
        double g = Math.min(z, CLAMPED_LIMIT);
        yield g * logistic(CLAMPED_STEEPNESS * g);
      }
    };
  }

  /** Returns the derivative of a function at z. */
  static double slope(Activation function, double z) {
    return switch (function) {
      case IDENTITY -> 1;
      case RELU -> z > 0 ? 1 : Math.max(0, z); // NaN stays
      case GELU, GEGLU -> normalCumulative(z) + z * NORMAL_DENSITY_AT_0 * Math.exp(-0.5 * z * z);
      case GELU_TANH, GEGLU_TANH -> {
        double x = 2 * geluTanhArgument(z);
        double inner = 2 * GELU_TANH_SCALE * (1 + 3 * GELU_TANH_CUBE * z * z);
        yield logistic(x) + z * (logistic(x) * logistic(-x) * inner);
      }
      case SILU, SWIGLU -> logistic(z) * (1 + z * logistic(-z));
      case TANH -> 4 * logistic(2 * z) * logistic(-2 * z);
      case SIGMOID -> logistic(z) * logistic(-z);
      case CLAMPED_SWIGLU -> {
        double x = CLAMPED_STEEPNESS * z;
        yield z > CLAMPED_LIMIT ? 0 : logistic(x) * (1 + x * logistic(-x));
      }
    };
  }

  /** Returns the factor of the first half's function, given an element of the second half. */
  static double second(Activation function, double x) {
    return function == Activation.CLAMPED_SWIGLU
        ? Math.max(-CLAMPED_LIMIT, Math.min(x, CLAMPED_LIMIT)) + 1
        : x;
  }

  /** Returns the second derivative of a function at x. */
  static double secondSlope(Activation function, double x) {
    return function == Activation.CLAMPED_SWIGLU && Math.abs(x) > CLAMPED_LIMIT ? 0 : 1;
  }

  private static double logistic(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double geluTanhArgument(double z) {
    return GELU_TANH_SCALE * (z + GELU_TANH_CUBE * z * z * z);
  }

  /** Returns the share of a normal distribution that is below z. */
  private static double normalCumulative(double z) {
    double x = Math.abs(z) * ROOT_HALF;
    double below = 0.5 * complementaryError(x);
    return z < 0 ? below : 1 - below;
  }

  /** The argument up to which the sum is used, and from which on the fraction. */
  private static final double MIDDLE = 2.5;

  private static final int FRACTION_TERMS = 60;

  /**
   * Returns erfc(x) for x >= 0: by the sum of erf's terms that are all positive (Abramowitz and
   * Stegun, 7.1.6), or by the continued fraction (7.1.14), with a relative error of at most 1e-12.
   */
  private static double complementaryError(double x) {
    if (x < MIDDLE) {
      double term = x;
      double sum = x;
      for (int n = 1; term > sum * 0x1p-54; n++) {
        term *= 2 * x * x / (2 * n + 1);
        sum += term;
      }
      return 1 - 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
    }
    double fraction = x;
    for (int n = FRACTION_TERMS; n >= 1; n--) {
      fraction = x + 0.5 * n / fraction;
    }
    return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
  }
}
