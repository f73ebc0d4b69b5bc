// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.testing.Data.Numbers;

/**
 * Exact values, and the error bound of each for a computation in floats.
 *
 * <p>If the exact value is NaN or infinite, the computed one must be as well; a NaN anywhere else
 * is infinitely far off.
 */
@SuppressWarnings("ArrayRecordComponent")
public record Bounded(long[] shape, double[] values, double[] bounds) {
  /** The rounding error of one float operation, relative to its result. */
  public static final double U = 0x1p-24;

  public static Bounded zeros(long... shape) {
    int size = Math.toIntExact(Arrays.stream(shape).reduce(1, Math::multiplyExact));
    return new Bounded(shape, new double[size], new double[size]);
  }

  /** Returns the start plus alpha times these values: two roundings of the term, one of the sum. */
  public Bounded addedTo(float[] start, float alpha) {
    Bounded sum = zeros(shape);
    for (int i = 0; i < values.length; i++) {
      double term = alpha * values[i];
      sum.values[i] = start[i] + term;
      sum.bounds[i] =
          Math.abs(alpha) * bounds[i] + U * (2 * Math.abs(term) + Math.abs(sum.values[i]));
    }
    return sum;
  }

  /** Fails unless every element is within its bound. */
  public void assertHolds(String name, FloatTensor actual) {
    assertHolds(name, actual.shape().toArray(), actual.toArray(), false);
  }

  /** Fails unless every element is the exact value; zeros of both signs are equal. */
  public void assertExact(String name, FloatTensor actual) {
    assertHolds(name, actual.shape().toArray(), actual.toArray(), true);
  }

  /** Fails unless small integers are exact, and other numbers within their bounds. */
  public static void check(String name, Bounded expected, FloatTensor actual, Numbers numbers) {
    if (numbers == Numbers.SMALL_INTEGERS) {
      expected.assertExact(name, actual);
    } else {
      expected.assertHolds(name, actual);
    }
  }

  /** Does the same, and closes a result that is not guarded memory. */
  public static void checkNew(String name, Bounded expected, FloatTensor actual, Numbers numbers) {
    try (actual) {
      check(name, expected, actual, numbers);
    }
  }

  private void assertHolds(String name, long[] actualShape, float[] actual, boolean exact) {
    if (!Arrays.equals(shape, actualShape)) {
      throw new AssertionError(
          name
              + ": expected shape "
              + Arrays.toString(shape)
              + " but was "
              + Arrays.toString(actualShape));
    }
    int worst = -1;
    int wrong = 0;
    double mostExcess = 0;
    for (int i = 0; i < actual.length; i++) {
      double allowed = exact ? 0 : bounds[i];
      if (!isClose(values[i], actual[i], allowed)) {
        wrong++;
        double excess = Math.abs(actual[i] - values[i]) / allowed;
        if (worst < 0 || excess > mostExcess) {
          worst = i;
          mostExcess = excess;
        }
      }
    }
    if (worst >= 0) {
      throw new AssertionError(
          String.format(
              "%s %s: %d of %d elements are off, most so %s: expected %s but was %s; off by %s,"
                  + " allowed %s",
              name,
              Arrays.toString(shape),
              wrong,
              actual.length,
              Arrays.toString(position(worst)),
              values[worst],
              actual[worst],
              Math.abs(actual[worst] - values[worst]),
              exact ? 0 : bounds[worst]));
    }
  }

  /** Returns whether a number is the expected one, or within {@code allowed} of it. */
  public static boolean isClose(double expected, double actual, double allowed) {
    if (Double.isNaN(expected)) {
      return Double.isNaN(actual);
    }
    // The comparison with a NaN is false.
    return expected == actual || Math.abs(actual - expected) <= allowed;
  }

  private long[] position(int index) {
    long[] position = new long[shape.length];
    long rest = index;
    for (int axis = shape.length - 1; axis >= 0; axis--) {
      position[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    return position;
  }
}
