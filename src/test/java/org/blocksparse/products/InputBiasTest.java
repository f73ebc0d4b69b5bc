// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.check;
import static org.blocksparse.testing.Bounded.checkNew;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.SparseRows;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The gradients of a bias of input blocks; {@link SparseBlockStepProperties} covers its steps. */
@ExtendWith(Seeded.class)
final class InputBiasTest {
  static Stream<Arguments> cases() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                SparseBlockContractTest.SIZES.stream().map(sizes -> Arguments.of(kernels, sizes)));
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradients(KernelsUnderTest kernels, Sizes sizes, Data data) {
    for (Numbers numbers : Numbers.values()) {
      BlockProblem p = data.blocks(sizes, numbers);
      long[] shape = {sizes.iBlocks(), sizes.oSize()};
      float[] start = data.floats(numbers, (long) sizes.iBlocks() * sizes.oSize());
      float[] values = data.floats(numbers, (long) sizes.batch() * sizes.iWin());
      float[] ones = new float[values.length];
      Arrays.fill(ones, 1);
      boolean[] named = Oracle.named(p.inputIdx(), sizes.iBlocks());
      try (Guarded memory = new Guarded();
          BlockPlan plan = p.plan(kernels.workers())) {
        FloatTensor gradOut = memory.of("gradOut", p.gradOut(), sizes.o());
        FloatTensor gate = memory.of("gate", values, sizes.inputIdx());
        FloatTensor bias = memory.of("bias", start, shape);
        Bounded gated = Oracle.addGradInputBias(p, values, new float[start.length], 1);
        checkNew("gated", gated, InputBias.gradBias(gradOut, gate, plan), numbers);
        Bounded plain = Oracle.addGradInputBias(p, ones, new float[start.length], 1);
        checkNew("plain", plain, InputBias.gradBias(gradOut, null, plan), numbers);

        float[] poisoned = start.clone();
        for (int i = 0; i < poisoned.length; i++) {
          if (named[i / sizes.oSize()]) {
            poisoned[i] = Float.NaN;
          } else {
            gated.values()[i] = start[i];
            plain.values()[i] = start[i];
          }
        }
        FloatTensor kept = memory.of("kept", poisoned, shape);
        InputBias.gradBias(gradOut, gate, plan, GradientOptions.overwrite(), kept);
        check("gated, kept", gated, kept, numbers);
        InputBias.gradBias(gradOut, null, plan, GradientOptions.overwrite(), kept);
        check("plain, kept", plain, kept, numbers);
        for (float alpha : new float[] {1, -2, 0, 0.5f}) {
          FloatTensor sum = memory.of("sum", start, shape);
          InputBias.gradBias(gradOut, gate, plan, GradientOptions.add(alpha), sum);
          check("+ " + alpha, Oracle.addGradInputBias(p, values, start, alpha), sum, numbers);
          sum.copyFrom(start);
          InputBias.gradBias(gradOut, null, plan, GradientOptions.add(alpha), sum);
          check("+ " + alpha, Oracle.addGradInputBias(p, ones, start, alpha), sum, numbers);
        }
        InputBias.clearGradBias(plan, kept);
        float[] cleared = kept.toArray();
        for (int i = 0; i < cleared.length; i++) {
          assertEquals(named[i / sizes.oSize()] ? 0 : start[i], cleared[i], "cleared " + i);
        }

        Bounded gradGate = Oracle.gradGate(p, start);
        checkNew("gradGate", gradGate, InputBias.gradGate(bias, gradOut, plan), numbers);
        FloatTensor over = memory.nan("gradGate", sizes.inputIdx());
        InputBias.gradGate(bias, gradOut, plan, GradientOptions.overwrite(), over);
        check("gradGate over NaN", gradGate, over, numbers);
        for (float alpha : new float[] {1, -0.5f, 0}) {
          FloatTensor sum = memory.of("gradGate", values, sizes.inputIdx());
          InputBias.gradGate(bias, gradOut, plan, GradientOptions.add(alpha), sum);
          check("gate + " + alpha, added(values, gradGate, alpha), sum, numbers);
        }
        assertArrayEquals(start, bias.toArray(), "bias");
        assertArrayEquals(values, gate.toArray(), "gate");
        assertArrayEquals(p.gradOut(), gradOut.toArray(), "gradOut");
      }
    }
  }

  /** Returns the old values plus a factor times a gradient: two more roundings. */
  private static Bounded added(float[] before, Bounded gradient, float alpha) {
    Bounded sum = Bounded.zeros(gradient.shape());
    for (int i = 0; i < before.length; i++) {
      double change = alpha * gradient.values()[i];
      sum.values()[i] = before[i] + change;
      sum.bounds()[i] =
          1.1 * Math.abs(alpha) * gradient.bounds()[i]
              + 3 * Bounded.U * (Math.abs(before[i]) + Math.abs(change));
    }
    return sum;
  }

  /**
   * The bias is a product with inputs of 1 number, the gate: one layer is compared with the other.
   */
  @Test
  void isWhatABlockOfOneRowIs() {
    try (SparseRows inputs = SparseRows.of(List.of(new int[] {2, 0}, new int[] {}, new int[] {2}));
        SparseRows outputs =
            SparseRows.of(List.of(new int[] {0}, new int[] {1}, new int[] {1, 1}));
        BlockPlan plan = BlockPlan.of(inputs, outputs, 3, 2);
        SparseRows none = SparseRows.of(List.of(new int[] {0}, new int[] {0}, new int[] {0, 0}));
        BlockPlan dense = BlockPlan.of(inputs, none, 3, 1);
        FloatTensor gate = FloatTensor.of(new float[] {1, 2, 3}, 3);
        FloatTensor gradOut = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, 4, 2);
        FloatTensor bias = FloatTensor.of(new float[] {1, -1, 2, -2, 3, 5}, 3, 2);
        FloatTensor gradient = InputBias.gradBias(gradOut, gate, plan);
        FloatTensor gradGate = InputBias.gradGate(bias, gradOut, plan);
        FloatTensor gradW = SparseBlockDot.gradW(gate.reshape(3, 1), gradOut, dense);
        FloatTensor gradH = SparseBlockDot.gradH(bias.reshape(3, 1, 1, 2), gradOut, dense)) {
      assertEquals("(3, 2)", gradient.shape().toString());
      assertEquals("(3)", gradGate.shape().toString());
      assertArrayEquals(gradW.toArray(), gradient.toArray());
      assertArrayEquals(gradH.toArray(), gradGate.toArray());
      assertEquals(1 + 3 * (5 + 7), gradient.get(2, 0), "as by hand");
    }
  }
}
