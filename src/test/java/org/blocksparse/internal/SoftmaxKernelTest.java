// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.Stream;
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

  private static double[] exactProbabilities(float[] logits, int valid) {
    double max = Double.NEGATIVE_INFINITY;
    for (int q = 0; q < valid; q++) {
      max = Math.max(max, logits[q]);
    }
    double sum = 0;
    for (int q = 0; q < valid; q++) {
      sum += StrictMath.exp(logits[q] - max);
    }
    double[] exact = new double[logits.length];
    for (int q = 0; q < valid; q++) {
      exact[q] = StrictMath.exp(logits[q] - max) / sum;
    }
    return exact;
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

  /** A row with two more elements behind it, which stay as they are. */
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

  private interface Body {
    void run(float[] logits, int valid, double[] exact, GemmSchedule schedule, Storage validCount);
  }

  private static void forAll(Data data, Body body) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      for (int n : SIZES) {
        for (float range : RANGES) {
          float[] logits = logits(data, n, range);
          int valid = 1 + data.below(n);
          body.run(logits, n, exactProbabilities(logits, n), schedule, null);
          body.run(logits, valid, exactProbabilities(logits, valid), schedule, storage(valid));
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
            kernels
                .kernels()
                .rows()
                .blockSoftmax(
                    false,
                    schedule,
                    0,
                    1,
                    n,
                    validCount,
                    factor == 1 ? null : storage(factor),
                    new Rows(row, 1, n));
            for (int q = 0; q < n; q++) {
              double expected = factor * exact[q];
              double allowed = q < valid ? 4 * Math.ulp((float) expected) : 0;
              assertEquals(
                  expected, row.getFloat(q), allowed, "element " + q + " of " + valid + " of " + n);
            }
            assertNothingBehind(row, n);
          }
        });
  }

  /** Roundings of the distance, of the logarithm and of their sum, and the sum's own error. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void logProbabilities(KernelsUnderTest kernels, Data data) {
    forAll(
        data,
        (logits, valid, exact, schedule, validCount) -> {
          int n = logits.length;
          for (float offset : new float[] {0, -3.5f}) {
            Storage row = row(logits);
            kernels
                .kernels()
                .rows()
                .blockSoftmax(
                    true,
                    schedule,
                    0,
                    1,
                    n,
                    validCount,
                    offset == 0 ? null : storage(offset),
                    new Rows(row, 1, n));
            for (int q = 0; q < n; q++) {
              if (q >= valid) {
                assertEquals(Float.NEGATIVE_INFINITY, row.getFloat(q), "element " + q);
                continue;
              }
              double expected = offset + StrictMath.log(exact[q]);
              double allowed =
                  0x1p-24 * (2 * Math.abs(expected) + Math.abs(offset) + StrictMath.log(n) + 4);
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
            kernels
                .kernels()
                .rows()
                .blockCrossEntropy(
                    schedule,
                    0,
                    1,
                    n,
                    validCount,
                    storage(target),
                    storage(weight),
                    smoothing,
                    null,
                    nll,
                    new Rows(row, 1, n));
            double loss = 0;
            double size = 0;
            for (int q = 0; q < n; q++) {
              double wanted =
                  q >= valid ? 0 : (q == target ? 1 - smoothing : 0) + smoothing / valid;
              if (wanted != 0) {
                loss -= wanted * StrictMath.log(exact[q]);
                size += wanted * (Math.abs(StrictMath.log(exact[q])) + 2);
              }
              double expected = weight * (exact[q] - wanted);
              double allowed =
                  q >= valid
                      ? 0
                      : Math.abs(weight)
                              * (4 * Math.ulp((float) exact[q]) + 4 * 0x1p-24 * (exact[q] + wanted))
                          + Float.MIN_VALUE;
              assertEquals(
                  expected, row.getFloat(q), allowed, "element " + q + " of " + valid + " of " + n);
            }
            assertEquals(loss, nll.getFloat(0), 8 * 0x1p-24 * size, "loss of " + n);
            assertNothingBehind(row, n);
          }
        });
  }

  /** Smoothing by a prior that favours some elements. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void crossEntropyWithPrior(KernelsUnderTest kernels, Data data) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      float[] prior = {0.5f, 0.125f, 0.25f, 0, 0.125f};
      float[] logits = logits(data, 5, 4);
      double[] exact = exactProbabilities(logits, 5);
      Storage row = row(logits);
      Storage nll = Storage.allocate(1);
      kernels
          .kernels()
          .rows()
          .blockCrossEntropy(
              schedule,
              0,
              1,
              5,
              null,
              storage(2),
              null,
              0.5f,
              storage(prior),
              nll,
              new Rows(row, 1, 5));
      double loss = 0;
      for (int q = 0; q < 5; q++) {
        double wanted = (q == 2 ? 0.5 : 0) + 0.5 * prior[q];
        loss -= wanted * StrictMath.log(exact[q]);
        assertEquals(exact[q] - wanted, row.getFloat(q), 1e-6, "element " + q);
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
      kernels
          .kernels()
          .rows()
          .blockCrossEntropy(
              schedule,
              0,
              1,
              19,
              null,
              storage(7),
              storage(0f),
              0,
              null,
              Storage.allocate(1),
              new Rows(row, 1, 19));
      for (int q = 0; q < 19; q++) {
        assertEquals(0, row.getFloat(q), "element " + q);
      }
    }
  }

  /** NaN anywhere, or an infinite maximum: NaN in all elements that take part, 0 behind them. */
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
            kernels
                .kernels()
                .rows()
                .blockSoftmax(false, schedule, 0, 1, n, null, null, new Rows(row, 1, n));
            for (int q = 0; q < n; q++) {
              assertTrue(Float.isNaN(row.getFloat(q)), poison + " at " + at + " of " + n);
            }
          }
        }
      }
      // Impossible outputs among possible ones.
      Storage row = row(new float[] {0, Float.NEGATIVE_INFINITY, 0});
      kernels
          .kernels()
          .rows()
          .blockSoftmax(false, schedule, 0, 1, 3, null, null, new Rows(row, 1, 3));
      assertEquals(0.5f, row.getFloat(0));
      assertEquals(0f, row.getFloat(1));
      assertEquals(0.5f, row.getFloat(2));
    }
  }

  /** Where nothing is smoothed, what is impossible and not the target has no part in the loss. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void whatIsImpossibleCostsNothing(KernelsUnderTest kernels) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      Storage row = row(new float[] {0, Float.NEGATIVE_INFINITY, 0});
      Storage nll = Storage.allocate(1);
      kernels
          .kernels()
          .rows()
          .blockCrossEntropy(
              schedule, 0, 1, 3, null, storage(0), null, 0, null, nll, new Rows(row, 1, 3));
      assertEquals(Math.log(2), nll.getFloat(0), 1e-6);
      assertEquals(-0.5f, row.getFloat(0));
      assertEquals(0f, row.getFloat(1));
      assertEquals(0.5f, row.getFloat(2));
    }
  }

  /**
   * Where what is impossible gets a share of the smoothing, the loss is infinite; else it is not.
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
        kernels
            .kernels()
            .rows()
            .blockCrossEntropy(
                schedule, 0, 1, n, null, storage(0), null, 0.25f, shares, nll, new Rows(row, 1, n));
        double expected = shared ? Double.POSITIVE_INFINITY : Math.log(n - 1);
        assertEquals(expected, nll.getFloat(0), 1e-5);
        for (int q = 0; q < n; q++) {
          assertTrue(Float.isFinite(row.getFloat(q)), "gradient " + q);
        }
      }
    }
  }
}
