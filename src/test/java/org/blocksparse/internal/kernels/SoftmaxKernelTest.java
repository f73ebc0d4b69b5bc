// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.testing.Bounded.U;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.Stream;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Softmax, log softmax and cross entropy of single rows against StrictMath. Logits are multiples of
 * 2^-10, so that their distances are exact and all error is the kernel's own.
 */
@ExtendWith(Seeded.class)
final class SoftmaxKernelTest {
  private static final int[] SIZES = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000, 4097};
  private static final float[] RANGES = {1, 20, 110};
  private static final float SENTINEL = 12345;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  /** The softmax of a row, and the error bounds of the kernels for exact distances. */
  private static final class Exact {
    final int valid;
    final double[] distances;
    final double[] probabilities;
    final double rest;
    final double logSum;

    Exact(float[] logits, int valid) {
      this.valid = valid;
      int largest = 0;
      for (int q = 1; q < valid; q++) {
        largest = logits[q] > logits[largest] ? q : largest;
      }
      this.distances = new double[logits.length];
      this.probabilities = new double[logits.length];
      double sum = 0;
      for (int q = 0; q < valid; q++) {
        distances[q] = logits[largest] - logits[q];
        probabilities[q] = StrictMath.exp(-distances[q]);
        sum += q == largest ? 0 : probabilities[q];
      }
      this.rest = sum;
      this.logSum = StrictMath.log1p(rest);
      for (int q = 0; q < valid; q++) {
        probabilities[q] /= 1 + rest;
      }
    }

    double logProbability(int q) {
      return -distances[q] - logSum;
    }

    /** Returns the difference of an element to 1. */
    double lacking(int q) {
      double sum = 0;
      for (int other = 0; other < valid; other++) {
        sum += other == q ? 0 : probabilities[other];
      }
      return sum;
    }

    /**
     * Exponentials of 2 ulp, an ulp of their sum; below the normal floats, half a denormal each.
     */
    double logSumBound() {
      return (6 * U * rest + valid * (Float.MIN_VALUE / 2.0)) / (1 + rest);
    }
  }

  private static float[] logits(Data data, int n, float range) {
    float[] logits = new float[n];
    for (int q = 0; q < n; q++) {
      logits[q] = Math.round(data.between(-range, range / 8) * 1024) / 1024f;
    }
    return logits;
  }

  private static Storage storage(float... values) {
    Storage storage = Storage.allocate(values.length);
    storage.putFloats(0, values, 0, values.length);
    return storage;
  }

  private static Storage storage(int value) {
    Storage storage = Storage.allocate(1);
    storage.putInt(0, value);
    return storage;
  }

  /** Returns a row followed by two more elements, which stay unchanged. */
  private static Storage row(float[] logits) {
    float[] padded = new float[logits.length + 2];
    System.arraycopy(logits, 0, padded, 0, logits.length);
    padded[logits.length] = SENTINEL;
    padded[logits.length + 1] = SENTINEL;
    return storage(padded);
  }

  private static void assertNothingBehind(Storage row, int n) {
    assertEquals(SENTINEL, row.getFloat(n), "behind the row");
    assertEquals(SENTINEL, row.getFloat(n + 1), "behind the row");
  }

  /** Computes the softmax of one row in place. */
  private static void probabilities(
      KernelsUnderTest kernels,
      boolean logarithms,
      GemmSchedule schedule,
      int n,
      Storage validCount,
      Storage factor,
      Storage row) {
    kernels
        .kernels()
        .rows()
        .probabilities(
            new Probabilities(
                Link.SOFTMAX, logarithms, schedule, n, validCount, factor, new Rows(row, 1, n)),
            0,
            1);
  }

  /** Computes the loss of one row, whose logits become its gradient. */
  private static void crossEntropy(
      KernelsUnderTest kernels,
      GemmSchedule schedule,
      int n,
      Storage validCount,
      Targets targets,
      Storage nll,
      Storage row) {
    kernels
        .kernels()
        .rows()
        .crossEntropy(
            new CrossEntropy(schedule, n, validCount, targets, nll, new Rows(row, 1, n)), 0, 1);
  }

  private interface Body {
    void run(float[] logits, int valid, Exact exact, GemmSchedule schedule, Storage validCount);
  }

  private static void forAll(Data data, Body body) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      for (int n : SIZES) {
        for (float range : RANGES) {
          float[] logits = logits(data, n, range);
          int valid = 1 + data.below(n);
          body.run(logits, n, new Exact(logits, n), schedule, null);
          body.run(logits, valid, new Exact(logits, valid), schedule, storage(valid));
        }
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void probabilitiesAreWithin4Ulp(KernelsUnderTest kernels, Data data) {
    forAll(
        data,
        (logits, valid, exact, schedule, validCount) -> {
          int n = logits.length;
          for (float factor : new float[] {1, 0.25f}) {
            Storage row = row(logits);
            probabilities(
                kernels, false, schedule, n, validCount, factor == 1 ? null : storage(factor), row);
            for (int q = 0; q < n; q++) {
              double expected = factor * exact.probabilities[q];
              double allowed = q < valid ? 4 * Math.ulp((float) expected) : 0;
              assertEquals(
                  expected, row.getFloat(q), allowed, "element " + q + " of " + valid + " of " + n);
            }
            assertNothingBehind(row, n);
          }
        });
  }

  /** The bound covers the roundings of the logarithm with the offset, and of the result. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void logProbabilities(KernelsUnderTest kernels, Data data) {
    forAll(
        data,
        (logits, valid, exact, schedule, validCount) -> {
          int n = logits.length;
          for (float offset : new float[] {0, -3.5f}) {
            Storage row = row(logits);
            probabilities(
                kernels, true, schedule, n, validCount, offset == 0 ? null : storage(offset), row);
            for (int q = 0; q < n; q++) {
              if (q >= valid) {
                assertEquals(Float.NEGATIVE_INFINITY, row.getFloat(q), "element " + q);
                continue;
              }
              double expected = offset + exact.logProbability(q);
              double allowed =
                  1.01 * U * (Math.abs(expected) + Math.abs(offset) + exact.logSum)
                      + exact.logSumBound();
              assertEquals(
                  expected, row.getFloat(q), allowed, "element " + q + " of " + valid + " of " + n);
            }
            assertNothingBehind(row, n);
          }
        });
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void crossEntropy(KernelsUnderTest kernels, Data data) {
    forAll(
        data,
        (logits, valid, exact, schedule, validCount) -> {
          int n = logits.length;
          int target = data.below(valid);
          float weight = data.between(-2, 2);
          for (float smoothing : new float[] {0, 0.25f}) {
            Storage row = row(logits);
            Storage nll = Storage.allocate(1);
            crossEntropy(
                kernels,
                schedule,
                n,
                validCount,
                Targets.single(storage(target), smoothing, null, storage(weight)),
                nll,
                row);
            double loss = 0;
            for (int q = 0; q < n; q++) {
              if (q >= valid) {
                assertEquals(0, row.getFloat(q), "element " + q);
                continue;
              }
              double share = (double) smoothing / valid;
              double wanted = (q == target ? 1 - smoothing : 0) + share;
              if (wanted != 0) {
                loss -= wanted * exact.logProbability(q);
              }
              double p = exact.probabilities[q];
              double lacking = exact.lacking(q);
              double expected = weight * (q == target ? smoothing - share - lacking : p - share);
              double allowed =
                  Math.abs(weight)
                          * (q == target
                              ? 9 * U * lacking + 4 * U * smoothing
                              : 4 * Math.ulp((float) p) + 4 * U * (p + wanted))
                      + (1 + valid * Math.abs(weight)) * Float.MIN_VALUE;
              assertEquals(
                  expected, row.getFloat(q), allowed, "element " + q + " of " + valid + " of " + n);
            }
            double allowed = exact.logSumBound() + 4 * U * loss;
            assertEquals(loss, nll.getFloat(0), allowed, "loss of " + n);
            assertNothingBehind(row, n);
          }
        });
  }

  /**
   * One element is likelier than all others, or than the only other one, by a distance: in each
   * place, its log probability, its loss and the gradient are right to 4 ulp.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void nearCertainty(KernelsUnderTest kernels) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      for (int n : new int[] {2, 3, 5, 8, 15, 16, 17, 31, 33, 48, 100}) {
        for (int distance = 1; distance <= 100; distance += distance < 20 ? 1 : 8) {
          for (int place = 0; place < n; place++) {
            boolean alone = place % 2 == 1;
            float[] logits = new float[n];
            Arrays.fill(logits, alone ? Float.NEGATIVE_INFINITY : 3 - distance);
            logits[(place + n - 1) % n] = 3 - distance;
            logits[place] = 3;
            double rest = (alone ? 1 : n - 1) * StrictMath.exp(-distance);
            String name = distance + " at " + place + " of " + n;
            Storage logs = row(logits);
            Storage gradients = row(logits);
            Storage nll = Storage.allocate(1);
            probabilities(kernels, true, schedule, n, null, null, logs);
            crossEntropy(
                kernels,
                schedule,
                n,
                null,
                Targets.single(storage(place), 0, null, null),
                nll,
                gradients);
            double slack = n * (Float.MIN_VALUE / 2.0);
            assertWithin4Ulp(-StrictMath.log1p(rest), logs.getFloat(place), slack, name);
            assertWithin4Ulp(StrictMath.log1p(rest), nll.getFloat(0), slack, name);
            assertWithin4Ulp(-rest / (1 + rest), gradients.getFloat(place), slack, name);
          }
        }
      }
    }
  }

  private static void assertWithin4Ulp(double expected, float actual, double slack, String name) {
    assertEquals(expected, actual, 4 * Math.ulp((float) expected) + slack, name);
  }

  /** The smoothing has a prior that favors some elements. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void crossEntropyWithPrior(KernelsUnderTest kernels, Data data) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      float[] prior = {0.5f, 0.125f, 0.25f, 0, 0.125f};
      float[] logits = logits(data, 5, 4);
      Exact exact = new Exact(logits, 5);
      Storage row = row(logits);
      Storage nll = Storage.allocate(1);
      crossEntropy(
          kernels,
          schedule,
          5,
          null,
          Targets.single(storage(2), 0.5f, storage(prior), null),
          nll,
          row);
      double loss = 0;
      for (int q = 0; q < 5; q++) {
        double wanted = (q == 2 ? 0.5 : 0) + 0.5 * prior[q];
        loss -= wanted * exact.logProbability(q);
        assertEquals(exact.probabilities[q] - wanted, row.getFloat(q), 1e-6, "element " + q);
      }
      assertEquals(loss, nll.getFloat(0), 1e-6, "loss");
    }
  }

  /** A weight of 0 makes whatever the row holds harmless. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void weightZeroGivesGradientZeroEvenForNan(KernelsUnderTest kernels) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      float[] logits = new float[19];
      logits[3] = Float.NaN;
      logits[4] = Float.POSITIVE_INFINITY;
      Storage row = row(logits);
      crossEntropy(
          kernels,
          schedule,
          19,
          null,
          Targets.single(storage(7), 0, null, storage(0f)),
          Storage.allocate(1),
          row);
      for (int q = 0; q < 19; q++) {
        assertEquals(0, row.getFloat(q), "element " + q);
      }
    }
  }

  /** A NaN, or an infinite maximum, gives NaN in all elements that count, and 0 after them. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void nanAndInfinity(KernelsUnderTest kernels) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      for (int n : SIZES) {
        for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
          for (int at : new int[] {0, n / 2, n - 1}) {
            float[] logits = new float[n];
            logits[at] = poison;
            Storage row = row(logits);
            probabilities(kernels, false, schedule, n, null, null, row);
            for (int q = 0; q < n; q++) {
              assertTrue(Float.isNaN(row.getFloat(q)), poison + " at " + at + " of " + n);
            }
          }
        }
      }
      // Impossible outputs among possible ones.
      Storage row = row(new float[] {0, Float.NEGATIVE_INFINITY, 0});
      probabilities(kernels, false, schedule, 3, null, null, row);
      assertEquals(0.5f, row.getFloat(0));
      assertEquals(0f, row.getFloat(1));
      assertEquals(0.5f, row.getFloat(2));
    }
  }

  /** Without smoothing, an impossible element that is not the target has no part in the loss. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void whatIsImpossibleCostsNothing(KernelsUnderTest kernels) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      Storage row = row(new float[] {0, Float.NEGATIVE_INFINITY, 0});
      Storage nll = Storage.allocate(1);
      crossEntropy(kernels, schedule, 3, null, Targets.single(storage(0), 0, null, null), nll, row);
      assertEquals(Math.log(2), nll.getFloat(0), 1e-6);
      assertEquals(-0.5f, row.getFloat(0));
      assertEquals(0f, row.getFloat(1));
      assertEquals(0.5f, row.getFloat(2));
    }
  }

  /**
   * If an impossible element has a share of the smoothing, the loss is infinite; otherwise it is
   * finite.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void smoothingTowardsWhatIsImpossible(KernelsUnderTest kernels) {
    int n = 40; // several vectors
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      float[] prior = new float[n];
      Arrays.fill(prior, 1f / (n - 1));
      prior[3] = 0;
      for (boolean shared : new boolean[] {true, false}) {
        float[] logits = new float[n];
        logits[3] = Float.NEGATIVE_INFINITY;
        Storage row = row(logits);
        Storage nll = Storage.allocate(1);
        Storage shares = shared ? null : row(prior);
        crossEntropy(
            kernels, schedule, n, null, Targets.single(storage(0), 0.25f, shares, null), nll, row);
        double expected = shared ? Double.POSITIVE_INFINITY : Math.log(n - 1);
        assertEquals(expected, nll.getFloat(0), 1e-5);
        for (int q = 0; q < n; q++) {
          assertTrue(Float.isFinite(row.getFloat(q)), "gradient " + q);
        }
      }
    }
  }
}
