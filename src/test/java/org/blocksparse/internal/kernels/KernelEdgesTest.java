// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.internal.kernels.NativeKernelsTest.ints;
import static org.blocksparse.internal.weights.WeightType.BFLOAT16;
import static org.blocksparse.internal.weights.WeightType.FLOAT16;
import static org.blocksparse.internal.weights.WeightType.FLOAT32;
import static org.blocksparse.internal.weights.WeightType.INT8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The common behavior of all kernels at the ends of the range of floats, and for NaN. */
final class KernelEdgesTest {
  private static final int N = 21;

  /** A length that ends within a vector. */
  private static final int VALID = 13;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  private static Storage filled(int count, float value) {
    Storage storage = Storage.allocate(count);
    storage.fill(0, count, value);
    return storage;
  }

  private static Optimizer rule(Optimizer.Kind kind) {
    return switch (kind) {
      case SGD -> Optimizer.sgd(0.5f);
      case ADAGRAD -> Optimizer.adagrad(0.5f);
      case ADAM -> Optimizer.adam(0.5f);
    };
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void aNaNInTheStateOfAnOptimizerStaysAndIsSeen(KernelsUnderTest kernels) {
    for (int place = 0; place < N; place++) {
      Storage g = filled(N, 1);
      Storage s = filled(N, 2);
      Storage v = filled(N, 2);
      Storage m = filled(N, 2);
      Storage byAdagrad = filled(N, 3);
      Storage byAdam = filled(N, 3);
      s.putFloat(place, Float.NaN);
      v.putFloat(place, Float.NaN);
      RowKernels rows = kernels.kernels().rows();
      rows.step(rule(Optimizer.Kind.ADAGRAD), new Parameters(byAdagrad, s), 0, N, g, 0, 1, 1);
      rows.step(rule(Optimizer.Kind.ADAM), new Parameters(byAdam, m, v), 0, N, g, 0, 1, 1);
      for (int i = 0; i < N; i++) {
        String at = place + ": " + i;
        assertEquals(i == place, Float.isNaN(s.getFloat(i)), "s " + at);
        assertEquals(i == place, Float.isNaN(byAdagrad.getFloat(i)), "w of Adagrad " + at);
        assertEquals(i == place, Float.isNaN(v.getFloat(i)), "v " + at);
        assertEquals(i == place, Float.isNaN(byAdam.getFloat(i)), "w of Adam " + at);
      }
    }
  }

  /** Without decay, for each rule and also with a clipped gradient. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void infiniteWeightsStayWhereNothingDecays(KernelsUnderTest kernels) {
    RowKernels rows = kernels.kernels().rows();
    Bags bags = new Bags(1, ints(0, 1), ints(0), null, 1);
    for (Optimizer.Kind kind : Optimizer.Kind.values()) {
      for (float infinite : new float[] {Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY}) {
        for (int place = 0; place < N; place++) {
          Storage byStep = filled(N, 3);
          Storage byBag = filled(N, 3);
          byStep.putFloat(place, infinite);
          byBag.putFloat(place, infinite);
          Storage[] moments = {filled(N, 2), filled(N, 2)};
          rows.step(rule(kind), new Parameters(byStep, moments), 0, N, filled(N, 1), 0, 0.5f, 1);
          Rows gradients = new Rows(filled(N, 1), 1, N);
          Optimizer clipping = rule(kind).withMaxNorm(0.125f);
          rows.bagStep(
              clipping,
              new BagSteps(bags, N, gradients, ints(0), ints(1), new Parameters(byBag, moments)),
              0,
              1);
          for (int i = 0; i < N; i++) {
            String at = kind + ", " + infinite + " at " + place + ": " + i;
            assertEquals(i == place, byStep.getFloat(i) == infinite, at);
            assertEquals(i == place, byBag.getFloat(i) == infinite, at);
            assertTrue(i == place || (byStep.getFloat(i) < 3 && byBag.getFloat(i) < 3), at);
            assertTrue(Float.isFinite(moments[0].getFloat(i) + moments[1].getFloat(i)), at);
          }
        }
      }
    }
  }

  private static RowSelection oneRow() {
    return new RowSelection(null, 0, 1, 0, N);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void reluOfMinusZeroIsZero(KernelsUnderTest kernels) {
    Rows z = new Rows(filled(N, -0f), 1, N);
    Rows a = new Rows(filled(N, 7), 1, N);
    kernels
        .kernels()
        .rows()
        .activation(oneRow(), new ActivationInput(Activation.RELU, N, z, null), a);
    for (int q = 0; q < N; q++) {
      assertEquals(0, Float.floatToRawIntBits(a.storage().getFloat(q)), "element " + q);
    }
  }

  /** The engine cuts columns by the number of workers, unless OpenBLAS takes part. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void bitsDoNotDependOnTheCutOfColumns(KernelsUnderTest kernels) {
    ProductKernels products = kernels.kernels().products();
    int k = 37;
    int n = 1300;
    Storage words = Storage.allocate((long) k * n);
    for (int i = 0; i < k * n; i++) {
      // Two halves of a float, or numbers of 16 bits, between 0.5 and 2.
      words.putInt(i, ((i * 0x9e3779b9) & 0x807f807f) | 0x3f003f00);
    }
    for (WeightType type : List.of(FLOAT32, FLOAT16, BFLOAT16, INT8)) {
      Blocks w = Blocks.dense(words, 1, 1, k, n).as(type, type == INT8 ? words.view() : null);
      for (boolean rounds : type == BFLOAT16 ? new boolean[] {false, true} : new boolean[1]) {
        for (int batch : new int[] {1, 2, 3, 4, 13, 70}) {
          Rows a = new Rows(words, batch, k);
          try (GemmSchedule dense = GemmSchedule.dense(batch)) {
            float[][] results = new float[4][batch * n];
            int[] widths = {n, 64, 256, 704};
            for (int i = 0; i < widths.length; i++) {
              Rows c = new Rows(filled(batch * n, 0), batch, n);
              BlockProduct product =
                  new BlockProduct(
                      dense,
                      a,
                      rounds ? RowFormat.BFLOAT16 : RowFormat.FLOATS,
                      w,
                      Sums.of(c),
                      null);
              for (int from = 0; from < n; from += widths[i]) {
                int to = Math.min(from + widths[i], n);
                products.blockGemm(product, 0, dense.chunks(), from, to);
              }
              c.storage().getFloats(0, results[i], 0, results[i].length);
              assertArrayEquals(results[0], results[i], type + ", " + batch + ", " + widths[i]);
            }
          }
        }
      }
    }
  }

  /** The product of alpha and gate overflows a float; the gradient does not. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void factorsOfAGradientWhoseProductIsNoFloat(KernelsUnderTest kernels) {
    for (Activation function : Activation.values()) {
      int width = function.isGated() ? 2 * N : N;
      Rows z = new Rows(filled(width, 0.75f), 1, width);
      float[][] factors = {{1e-30f, 1e-20f, 1e30f}, {-1e20f, 1e20f, 1e-30f}, {3e38f, 3e38f, 0}};
      for (float[] f : factors) {
        Rows gradZ = new Rows(filled(width, 7), 1, width);
        kernels
            .kernels()
            .rows()
            .activationGradient(
                oneRow(),
                new ActivationGradient(
                    new ActivationInput(function, N, z, filled(1, f[1])),
                    f[0],
                    new Rows(filled(N, f[2]), 1, N),
                    false,
                    gradZ,
                    null));
        double factor = (double) f[0] * f[1] * f[2];
        double slope = JavaActivations.slope(function, 0.75);
        double expected =
            factor * slope * (function.isGated() ? JavaActivations.second(function, 0.75) : 1);
        for (int q = 0; q < N; q++) {
          String name = function + " " + f[0] + ", element " + q;
          assertEquals(expected, gradZ.storage().getFloat(q), 1e-6 * Math.abs(expected), name);
          if (function.isGated()) {
            double second = factor * JavaActivations.value(function, 0.75);
            assertEquals(second, gradZ.storage().getFloat(N + q), 1e-6 * Math.abs(second), name);
          }
        }
      }
    }
  }

  /** The range of a log probability exceeds that of its logit. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void offsetsMayBeLarge(KernelsUnderTest kernels) {
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      Rows c = new Rows(filled(N, -1e38f), 1, N);
      c.storage().putFloat(4, Float.NEGATIVE_INFINITY);
      kernels
          .kernels()
          .rows()
          .probabilities(
              new Probabilities(Link.SOFTMAX, true, schedule, N, null, filled(1, 3e38f), c), 0, 1);
      Rows d = new Rows(filled(N, -1e38f), 1, N);
      d.storage().putFloat(4, Float.NEGATIVE_INFINITY);
      kernels
          .kernels()
          .rows()
          .probabilities(
              new Probabilities(Link.LOGISTIC, true, schedule, N, null, filled(1, 3e38f), d), 0, 1);
      for (int q = 0; q < N; q++) {
        float infinite = Float.NEGATIVE_INFINITY;
        assertEquals(q == 4 ? infinite : 3e38f, c.storage().getFloat(q), "softmax " + q);
        assertEquals(q == 4 ? infinite : 3e38f - 1e38f, d.storage().getFloat(q), "sigmoid " + q);
      }
    }
  }

  /** A certain output has log probability 0, whose sign bit must not affect the order. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void sigmoidsEndAtTheValidCount(KernelsUnderTest kernels) {
    Storage valid = Storage.allocate(1);
    valid.putInt(0, VALID);
    try (GemmSchedule schedule = GemmSchedule.dense(1)) {
      for (boolean logarithm : new boolean[] {false, true}) {
        Rows c = new Rows(filled(N, 200), 1, N);
        kernels
            .kernels()
            .rows()
            .probabilities(
                new Probabilities(Link.LOGISTIC, logarithm, schedule, N, valid, null, c), 0, 1);
        for (int q = 0; q < N; q++) {
          float expected =
              q < VALID ? (logarithm ? 0 : 1) : logarithm ? Float.NEGATIVE_INFINITY : 0;
          assertEquals(
              Float.floatToRawIntBits(expected),
              Float.floatToRawIntBits(c.storage().getFloat(q)),
              "element " + q + (logarithm ? " of the logarithm" : ""));
        }
      }
    }
  }

  /** A kernel that runs chunks [begin, end) of rows in place. */
  private interface InPlace {
    void run(GemmSchedule schedule, int begin, int end, Rows c);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void chunksOfOthersStay(KernelsUnderTest kernels) {
    RowKernels k = kernels.kernels().rows();
    Slice target = ints(1, 1, 1);
    Bags positives = new Bags(3, ints(0, 1, 2, 3), ints(1, 1, 1), null, N);
    Storage loss = filled(3, 0);
    List<InPlace> calls =
        List.of(
            (chunks, begin, end, c) ->
                k.probabilities(
                    new Probabilities(Link.SOFTMAX, false, chunks, N, null, null, c), begin, end),
            (chunks, begin, end, c) ->
                k.probabilities(
                    new Probabilities(Link.LOGISTIC, false, chunks, N, null, null, c), begin, end),
            (chunks, begin, end, c) ->
                k.crossEntropy(
                    new CrossEntropy(
                        chunks, N, null, Targets.single(target.storage(), 0, null, null), loss, c),
                    begin,
                    end),
            (chunks, begin, end, c) ->
                k.crossEntropy(
                    new CrossEntropy(chunks, N, null, Targets.several(positives, null), loss, c),
                    begin,
                    end));
    int[] each = {0, 1, 2};
    try (GemmSchedule schedule = GemmSchedule.of(3, each, 3, each, 3)) {
      for (int call = 0; call < calls.size(); call++) {
        Rows c = new Rows(filled(3 * N, 7), 3, N);
        calls.get(call).run(schedule, 1, 2, c);
        for (int row = 0; row < 3; row++) {
          for (int q = 0; q < N; q++) {
            boolean written = row == schedule.row(schedule.rowStart(1));
            assertEquals(!written, c.get(row, q) == 7, call + ": element " + q + " of " + row);
          }
        }
      }
    }
  }
}
