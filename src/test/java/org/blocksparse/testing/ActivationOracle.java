// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import org.blocksparse.Activation;

/**
 * Activations in float64 by their definitions, with series and integrals instead of the forms of
 * the kernels, and with the allowed error of kernels.
 */
public final class ActivationOracle {
  private static final double ABSOLUTE = 0x1p-22;

  private ActivationOracle() {}

  /** Returns the function; for a gated one, that of the first half. */
  public static double value(Activation activation, double z) {
    return switch (activation) {
      case IDENTITY -> z;
      case RELU -> z > 0 ? z : 0;
      case GELU, GEGLU -> z * cumulative(z);
      case GELU_TANH, GEGLU_TANH -> 0.5 * z * (1 + StrictMath.tanh(inner(z)));
      case SILU, SWIGLU -> z / (1 + StrictMath.exp(-z));
      case TANH -> StrictMath.tanh(z);
      case SIGMOID -> 1 / (1 + StrictMath.exp(-z));
      case CLAMPED_SWIGLU -> z > 7 ? value(activation, 7) : z / (1 + StrictMath.exp(-1.702 * z));
    };
  }

  /** Returns its derivative. */
  public static double slope(Activation activation, double z) {
    return switch (activation) {
      case IDENTITY -> 1;
      case RELU -> z > 0 ? 1 : 0;
      case GELU, GEGLU ->
          cumulative(z) + z * StrictMath.exp(-z * z / 2) / StrictMath.sqrt(2 * StrictMath.PI);
      case GELU_TANH, GEGLU_TANH -> {
        double t = StrictMath.tanh(inner(z));
        double innerSlope = StrictMath.sqrt(2 / StrictMath.PI) * (1 + 3 * 0.044715 * z * z);
        yield 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * innerSlope;
      }
      case SILU, SWIGLU -> {
        double s = 1 / (1 + StrictMath.exp(-z));
        yield s + z * s * (1 - s);
      }
      case TANH -> {
        double c = StrictMath.cosh(z);
        yield 1 / (c * c);
      }
      case SIGMOID -> {
        double s = 1 / (1 + StrictMath.exp(-z));
        yield s * (1 - s);
      }
      case CLAMPED_SWIGLU -> {
        double s = 1 / (1 + StrictMath.exp(-1.702 * z));
        yield z > 7 ? 0 : s + 1.702 * z * s * (1 - s);
      }
    };
  }

  /** Returns the factor of the function by an element of the second half. */
  public static double second(Activation activation, double x) {
    if (activation != Activation.CLAMPED_SWIGLU) {
      return x;
    }
    return 1 + (x > 7 ? 7 : x < -7 ? -7 : x);
  }

  /** Returns the derivative of the factor. */
  public static double secondSlope(Activation activation, double x) {
    return activation == Activation.CLAMPED_SWIGLU && (x > 7 || x < -7) ? 0 : 1;
  }

  private static double inner(double z) {
    return StrictMath.sqrt(2 / StrictMath.PI) * (z + 0.044715 * z * z * z);
  }

  /** Returns the normal distribution's integral, by Simpson's rule from 0. */
  private static double cumulative(double z) {
    double end = StrictMath.min(StrictMath.abs(z), 9);
    int steps = 2000;
    double width = end / steps;
    double sum = 0;
    for (int i = 0; i <= steps; i++) {
      double x = i * width;
      sum += StrictMath.exp(-x * x / 2) * (i == 0 || i == steps ? 1 : i % 2 == 1 ? 4 : 2);
    }
    double half = sum * width / 3 / StrictMath.sqrt(2 * StrictMath.PI);
    return z < 0 ? 0.5 - half : 0.5 + half;
  }

  /** Returns the size of a row of the result for a row of z. */
  public static int outSize(Activation activation, int zSize) {
    return activation.isGated() ? zSize / 2 : zSize;
  }

  /**
   * Returns gate * f(z).
   *
   * @param z rows of {@code activation.isGated() ? 2 n : n}
   * @param gate for each row, or null
   * @param zError how far off z itself may be, or null
   */
  public static Bounded apply(
      Activation activation, int n, float[] z, float[] gate, double[] zError, long... shape) {
    Bounded a = Bounded.zeros(shape);
    int width = activation.isGated() ? 2 * n : n;
    for (int i = 0; i < a.values().length; i++) {
      int row = i / n;
      int at = row * width + i % n;
      double g = gate == null ? 1 : gate[row];
      double second = activation.isGated() ? second(activation, z[at + n]) : 1;
      a.values()[i] = g * value(activation, z[at]) * second;
      // No slope is above 1.2.
      double moved =
          zError == null
              ? 0
              : 1.2 * zError[at] * Math.abs(second)
                  + (activation.isGated() ? zError[at + n] * (Math.abs(z[at]) + 1) : 0);
      a.bounds()[i] =
          12 * 2 * Bounded.U * Math.abs(a.values()[i])
              + Math.abs(g) * (ABSOLUTE * Math.abs(second) + 2 * moved);
    }
    return a;
  }

  /** Returns the gradient with respect to z; arguments as above. */
  public static Bounded gradZ(
      Activation activation, int n, float[] z, float[] gate, float[] gradA, long... shape) {
    Bounded gradZ = Bounded.zeros(shape);
    int width = activation.isGated() ? 2 * n : n;
    for (int i = 0; i < gradA.length; i++) {
      int row = i / n;
      int at = row * width + i % n;
      double scaled = (gate == null ? 1 : gate[row]) * (double) gradA[i];
      double second = activation.isGated() ? second(activation, z[at + n]) : 1;
      set(gradZ, at, scaled * second, slope(activation, z[at]));
      if (activation.isGated()) {
        set(gradZ, at + n, scaled * secondSlope(activation, z[at + n]), value(activation, z[at]));
      }
    }
    return gradZ;
  }

  private static void set(Bounded to, int at, double factor, double value) {
    to.values()[at] = factor * value;
    to.bounds()[at] = Math.abs(factor) * (12 * 2 * Bounded.U * Math.abs(value) + ABSOLUTE);
  }

  /** Returns the gradient with respect to the gate; arguments as above. */
  public static Bounded gradGate(
      Activation activation, int n, float[] z, float[] gradA, long... shape) {
    Bounded gradGate = Bounded.zeros(shape);
    int width = activation.isGated() ? 2 * n : n;
    for (int i = 0; i < gradA.length; i++) {
      int row = i / n;
      int at = row * width + i % n;
      double second = activation.isGated() ? second(activation, z[at + n]) : 1;
      double term = gradA[i] * value(activation, z[at]) * second;
      gradGate.values()[row] += term;
      gradGate.bounds()[row] +=
          (n + 16) * Bounded.U * Math.abs(term) + ABSOLUTE * Math.abs(gradA[i] * second);
    }
    return gradGate;
  }
}
