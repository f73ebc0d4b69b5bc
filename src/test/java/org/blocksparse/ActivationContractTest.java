// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.Stream;
import org.blocksparse.products.Activations;
import org.blocksparse.testing.ActivationOracle;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Activations on every instruction set, against their definitions in float64. */
@ExtendWith(Seeded.class)
final class ActivationContractTest {
  /** Rows and n. */
  private static final int[][] SIZES = {
    {1, 1}, {3, 5}, {7, 16}, {2, 17}, {5, 31}, {1, 300}, {40, 13}, {0, 4}, {4, 0}, {0, 0}
  };

  static Stream<Arguments> cases() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(kernels -> Arrays.stream(Activation.values()).map(a -> Arguments.of(kernels, a)));
  }

  private static int width(Activation activation, int n) {
    return activation.isGated() ? 2 * n : n;
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void apply(KernelsUnderTest kernels, Activation activation, Data data) {
    Workers workers = kernels.workers();
    for (int[] size : SIZES) {
      int rows = size[0];
      int n = size[1];
      int width = width(activation, n);
      float[] z = data.floats(Numbers.GAUSSIAN, (long) rows * width);
      float[] gate = data.floats(Numbers.GAUSSIAN, rows);
      try (Guarded memory = new Guarded()) {
        FloatTensor zTensor = memory.of("z", z, rows, width);
        FloatTensor gateTensor = memory.of("gate", gate, rows);
        FloatTensor a = memory.nan("a", rows, n);
        Activations.apply(activation, zTensor, null, a, workers);
        ActivationOracle.apply(activation, n, z, null, null, rows, n).assertHolds("a", a);
        FloatTensor gated = memory.nan("a", rows, n);
        Activations.apply(activation, zTensor, gateTensor, gated, workers);
        ActivationOracle.apply(activation, n, z, gate, null, rows, n).assertHolds("gated", gated);
        assertArrayEquals(z, zTensor.toArray(), "z is left as it is");
        assertArrayEquals(gate, gateTensor.toArray(), "gate is left as it is");
        if (!activation.isGated()) {
          Activations.apply(activation, zTensor, gateTensor, zTensor, workers);
          assertArrayEquals(gated.toArray(), zTensor.toArray(), "in place");
        }
      }
    }
  }

  /** Checks inputs where functions are constant or linear, which random numbers seldom reach. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void farFromZero(KernelsUnderTest kernels, Activation activation) {
    int n = 24 * 32;
    int width = width(activation, n);
    float[] z = new float[width];
    for (int q = 0; q < n; q++) {
      z[q] = q / 32f - 12;
    }
    Arrays.fill(z, n, width, 1);
    float[] ones = new float[n];
    Arrays.fill(ones, 1);
    try (Guarded memory = new Guarded()) {
      FloatTensor zTensor = memory.of("z", z, 1, width);
      FloatTensor a = memory.nan("a", 1, n);
      Activations.apply(activation, zTensor, null, a, kernels.workers());
      ActivationOracle.apply(activation, n, z, null, null, 1, n).assertHolds("a", a);
      FloatTensor gradZ = memory.nan("gradZ", 1, width);
      Activations.gradient(
          activation,
          zTensor,
          memory.of("gradA", ones, 1, n),
          GradientOptions.overwrite(),
          gradZ,
          kernels.workers());
      ActivationOracle.gradZ(activation, n, z, null, ones, 1, width).assertHolds("gradZ", gradZ);
    }
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradient(KernelsUnderTest kernels, Activation activation, Data data) {
    Workers workers = kernels.workers();
    for (int[] size : SIZES) {
      int rows = size[0];
      int n = size[1];
      int width = width(activation, n);
      float[] z = data.floats(Numbers.GAUSSIAN, (long) rows * width);
      float[] gate = data.floats(Numbers.GAUSSIAN, rows);
      float[] gradA = data.floats(Numbers.GAUSSIAN, (long) rows * n);
      try (Guarded memory = new Guarded()) {
        FloatTensor zTensor = memory.of("z", z, rows, width);
        FloatTensor gateTensor = memory.of("gate", gate, rows);
        FloatTensor gradATensor = memory.of("gradA", gradA, rows, n);
        FloatTensor gradZ = memory.nan("gradZ", rows, width);
        Activations.gradient(
            activation, zTensor, gradATensor, GradientOptions.overwrite(), gradZ, workers);
        ActivationOracle.gradZ(activation, n, z, null, gradA, rows, width)
            .assertHolds("gradZ", gradZ);
        FloatTensor gated = memory.nan("gradZ", rows, width);
        FloatTensor gradGate = memory.nan("gradGate", rows);
        Activations.gradient(
            activation,
            zTensor,
            gradATensor,
            GradientOptions.overwrite().withGate(gateTensor, gradGate),
            gated,
            workers);
        ActivationOracle.gradZ(activation, n, z, gate, gradA, rows, width)
            .assertHolds("gated gradZ", gated);
        ActivationOracle.gradGate(activation, n, z, gradA, rows).assertHolds("gradGate", gradGate);
        assertArrayEquals(z, zTensor.toArray(), "z is left as it is");
        assertArrayEquals(gate, gateTensor.toArray(), "gate is left as it is");
        assertArrayEquals(gradA, gradATensor.toArray(), "gradA is left as it is");
        float[] before = data.floats(Numbers.GAUSSIAN, (long) rows * width);
        float alpha = -0.3f;
        FloatTensor sum = memory.of("gradZ", before, rows, width);
        Activations.gradient(
            activation, zTensor, gradATensor, GradientOptions.add(alpha), sum, workers);
        ActivationOracle.gradZ(activation, n, z, null, gradA, rows, width)
            .addedTo(before, alpha)
            .assertHolds("gradZ added", sum);
        FloatTensor gatedSum = memory.of("gradZ", before, rows, width);
        FloatTensor gateSum = memory.of("gradGate", gate, rows);
        Activations.gradient(
            activation,
            zTensor,
            gradATensor,
            GradientOptions.add(alpha).withGate(gateTensor, gateSum),
            gatedSum,
            workers);
        ActivationOracle.gradZ(activation, n, z, gate, gradA, rows, width)
            .addedTo(before, alpha)
            .assertHolds("gated gradZ added", gatedSum);
        ActivationOracle.gradGate(activation, n, z, gradA, rows)
            .addedTo(gate, alpha)
            .assertHolds("gradGate added", gateSum);
        if (!activation.isGated()) {
          Activations.gradient(
              activation,
              zTensor,
              gradATensor,
              GradientOptions.overwrite().withGate(gateTensor, gradGate),
              gradATensor,
              workers);
          assertArrayEquals(gated.toArray(), gradATensor.toArray(), "in place");
        }
      }
    }
  }

  /** Central differences of the sum of a, in float64. */
  @ParameterizedTest
  @EnumSource
  void oracleHasTheSlopeOfItsFunction(Activation activation) {
    double step = 0x1p-14;
    for (double z = -6.0625; z < 6.1; z += 0.125) { // never 0, where ReLU has no slope
      double difference =
          ActivationOracle.value(activation, z + step)
              - ActivationOracle.value(activation, z - step);
      assertEquals(difference / (2 * step), ActivationOracle.slope(activation, z), 1e-7);
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void nanAndInfinityStayInTheirElement(KernelsUnderTest kernels, Activation activation) {
    int n = 21;
    int width = width(activation, n);
    for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      for (int at = 0; at < width; at++) {
        float[] z = new float[width];
        Arrays.fill(z, 0.5f);
        z[at] = poison;
        try (FloatTensor zTensor = FloatTensor.of(z, 1, width);
            FloatTensor a = FloatTensor.zeros(1, n)) {
          Activations.apply(activation, zTensor, null, a, kernels.workers());
          float[] found = a.toArray();
          for (int q = 0; q < n; q++) {
            if (q != at % n) {
              assertEquals(found[(at + 1) % n], found[q]);
              assertTrue(Float.isFinite(found[q]), "element " + q);
            }
          }
          assertEquals(Float.isNaN(poison), Float.isNaN(found[at % n]), "element " + at % n);
        }
      }
    }
  }

  /**
   * Checks operands large enough to be divided among workers, by whole rows and by bands of
   * columns.
   */
  @ParameterizedTest
  @EnumSource
  void sameBitsForAnyNumberOfWorkers(Activation activation, Data data) {
    ForkJoinPool pool = new ForkJoinPool(4);
    try {
      for (int[] size : new int[][] {{700, 130}, {1, 70_000}, {3, 30_001}}) {
        int rows = size[0];
        int n = size[1];
        int width = width(activation, n);
        float[] z = data.floats(Numbers.GAUSSIAN, (long) rows * width);
        float[] gate = data.floats(Numbers.GAUSSIAN, rows);
        float[] gradA = data.floats(Numbers.GAUSSIAN, (long) rows * n);
        float[][] results = new float[2][];
        for (int i = 0; i < 2; i++) {
          Workers workers = i == 0 ? Workers.callingThread() : Workers.of(pool, 4);
          try (FloatTensor zTensor = FloatTensor.of(z, rows, width);
              FloatTensor gateTensor = FloatTensor.of(gate, rows);
              FloatTensor gradATensor = FloatTensor.of(gradA, rows, n);
              FloatTensor a = FloatTensor.zeros(rows, n);
              FloatTensor gradZ = FloatTensor.zeros(rows, width);
              FloatTensor gradGate = FloatTensor.zeros(rows)) {
            Activations.apply(activation, zTensor, gateTensor, a, workers);
            Activations.gradient(
                activation,
                zTensor,
                gradATensor,
                GradientOptions.overwrite().withGate(gateTensor, gradGate),
                gradZ,
                workers);
            float[] all = Arrays.copyOf(a.toArray(), rows * (n + width + 1));
            System.arraycopy(gradZ.toArray(), 0, all, rows * n, rows * width);
            System.arraycopy(gradGate.toArray(), 0, all, rows * (n + width), rows);
            results[i] = all;
          }
        }
        assertArrayEquals(results[0], results[1]);
      }
    } finally {
      pool.shutdown();
    }
  }
}
