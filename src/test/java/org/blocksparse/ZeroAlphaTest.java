// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.Stream;
import org.blocksparse.products.Activations;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A summand times 0 changes nothing, except for NaN and infinities, which propagate as in any sum:
 * 0 times these is NaN. Checked on every kind of kernels.
 */
final class ZeroAlphaTest {
  private static final float[] POISONS = {Float.NaN, Float.POSITIVE_INFINITY};

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(I_SIZE, O_SIZE).stream();
  }

  static Stream<KernelsUnderTest> instructionSets() {
    return KernelsUnderTest.instructionSets().stream();
  }

  private static FloatTensor filled(long... shape) {
    FloatTensor tensor = FloatTensor.zeros(shape);
    tensor.fill(0.5f);
    return tensor;
  }

  /** Elements are NaN where requested; others are unchanged. */
  private static void assertNaN(String name, FloatTensor actual, IntPredicate where) {
    float[] elements = actual.toArray();
    for (int i = 0; i < elements.length; i++) {
      assertEquals(where.test(i) ? Float.NaN : 0.5f, elements[i], name + " " + i);
    }
  }

  /**
   * Returns a plan of two samples: the first selects inputs 0 and 2, and outputs 1 and 0; the
   * second input 1, and output 1.
   */
  private static BlockPlan plan(Workers workers) {
    try (SparseRows inputs = SparseRows.of(List.of(new int[] {0, 2}, new int[] {1}));
        SparseRows outputs = SparseRows.of(List.of(new int[] {1, 0}, new int[] {1}))) {
      return BlockPlan.of(inputs, outputs, 3, 2).withWorkers(workers);
    }
  }

  private static final int I_SIZE = 19;
  private static final int O_SIZE = 6;

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void gradientsOfProducts(KernelsUnderTest kernels) {
    for (float poison : POISONS) {
      try (BlockPlan plan = plan(kernels.workers());
          FloatTensor W = filled(3, 2, I_SIZE, O_SIZE);
          FloatTensor h = filled(3, I_SIZE);
          FloatTensor gradOut = filled(3, O_SIZE);
          FloatTensor gradH = filled(3, I_SIZE);
          FloatTensor gradW = filled(3, 2, I_SIZE, O_SIZE);
          FloatTensor gradB = filled(2, O_SIZE)) {
        gradOut.set(poison, 1, 4); // in the first sample, output 0
        SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.add(0), gradH);
        assertNaN("gradH", gradH, i -> i < 2 * I_SIZE);
        SparseBlockDot.gradB(gradOut, plan, GradientOptions.add(0), gradB);
        assertNaN("gradB", gradB, i -> i == 4);
        SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.add(0), gradW);
        assertNaN("gradW", gradW, i -> i % O_SIZE == 4 && (isBlock(i, 0, 0) || isBlock(i, 2, 0)));
        gradOut.fill(0.5f);
        gradH.fill(0.5f);
        W.set(poison, 2, 0, 3, 1); // the first sample reads this block for its second input
        SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.add(0), gradH);
        assertNaN("gradH by W", gradH, i -> i == I_SIZE + 3);
      }
    }
  }

  private static boolean isBlock(int element, int input, int output) {
    return element / (I_SIZE * O_SIZE) == 2 * input + output;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void gradientsOfWhatIsFusedToProducts(KernelsUnderTest kernels) {
    for (float poison : POISONS) {
      for (Activation f : Activation.values()) {
        int width = f.isGated() ? 2 * I_SIZE : I_SIZE;
        try (BlockPlan plan = plan(kernels.workers());
            FloatTensor W = filled(3, 2, I_SIZE, O_SIZE);
            FloatTensor gradOut = filled(3, O_SIZE);
            FloatTensor z = filled(3, width);
            FloatTensor gate = filled(3);
            FloatTensor gradZ = filled(3, width);
            FloatTensor gradGate = filled(3)) {
          gradOut.set(poison, 2, 4); // in the second sample
          SparseBlockDot.gradH(
              W, gradOut, plan, GradientOptions.add(0).withActivation(f, z), gradZ);
          assertNaN(f + "", gradZ, i -> i >= 2 * width);
          gradZ.fill(0.5f);
          SparseBlockDot.gradH(
              W,
              gradOut,
              plan,
              GradientOptions.add(0).withActivation(f, z).withGate(gate, gradGate),
              gradZ);
          assertNaN(f + " with gate", gradZ, i -> i >= 2 * width);
          assertNaN(f + ": gradGate", gradGate, i -> i == 2);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("instructionSets")
  void gradientsOfInputBiases(KernelsUnderTest kernels) {
    for (float poison : POISONS) {
      try (BlockPlan plan = plan(kernels.workers());
          FloatTensor bias = filled(3, O_SIZE);
          FloatTensor gate = filled(3);
          FloatTensor gradOut = filled(3, O_SIZE);
          FloatTensor gradBias = filled(3, O_SIZE);
          FloatTensor gradGate = filled(3)) {
        gradOut.set(poison, 0, 4); // in the first sample
        IntPredicate touched = i -> i % O_SIZE == 4 && i / O_SIZE != 1;
        InputBias.gradBias(gradOut, null, plan, GradientOptions.add(0), gradBias);
        assertNaN("gradBias", gradBias, touched);
        gradBias.fill(0.5f);
        InputBias.gradBias(gradOut, gate, plan, GradientOptions.add(0), gradBias);
        assertNaN("gated gradBias", gradBias, touched);
        InputBias.gradGate(bias, gradOut, plan, GradientOptions.add(0), gradGate);
        assertNaN("gradGate", gradGate, i -> i < 2);
        gradOut.fill(0.5f);
        gradGate.fill(0.5f);
        bias.set(poison, 1, 2);
        InputBias.gradGate(bias, gradOut, plan, GradientOptions.add(0), gradGate);
        assertNaN("gradGate by bias", gradGate, i -> i == 2);
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("instructionSets")
  void gradientsOfActivations(KernelsUnderTest kernels) {
    int n = 21;
    for (float poison : POISONS) {
      for (Activation f : Activation.values()) {
        int width = f.isGated() ? 2 * n : n;
        try (FloatTensor z = filled(2, width);
            FloatTensor gate = filled(2);
            FloatTensor gradA = filled(2, n);
            FloatTensor gradZ = filled(2, width);
            FloatTensor gradGate = filled(2)) {
          gradA.set(poison, 1, 17);
          IntPredicate touched = i -> i == width + 17 || (f.isGated() && i == width + n + 17);
          Activations.gradient(f, z, gradA, GradientOptions.add(0), gradZ, kernels.workers());
          assertNaN(f + "", gradZ, touched);
          gradZ.fill(0.5f);
          Activations.gradient(
              f,
              z,
              gradA,
              GradientOptions.add(0).withGate(gate, gradGate),
              gradZ,
              kernels.workers());
          assertNaN(f + " with gate", gradZ, touched);
          assertNaN(f + ": gradGate", gradGate, i -> i == 1);
        }
      }
    }
  }
}
