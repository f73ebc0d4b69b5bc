// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.check;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
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
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Gradients into existing tensors, and steps of blocks: the elements that they change, and those
 * that they leave. {@link SparseBlockStepProperties} covers the rules themselves.
 */
@ExtendWith(Seeded.class)
final class SparseBlockStepTest {
  private static final Optimizer ADAM = Optimizer.adam(0.25f);

  /** Returns the kernels for blocks of up to 7 x 18, and single rows. */
  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(7, 18).stream();
  }

  /** Returns a gradient where it is touched, and the previous values elsewhere. */
  private static Bounded over(Bounded gradient, float[] before, boolean[] touched) {
    Bounded result = Bounded.zeros(gradient.shape());
    for (int i = 0; i < before.length; i++) {
      result.values()[i] = touched[i] ? gradient.values()[i] : before[i];
      result.bounds()[i] = touched[i] ? gradient.bounds()[i] : 0;
    }
    return result;
  }

  /** Returns the elements of W, or with a block size of 1 its blocks, that a plan touches. */
  private static boolean[] touchedW(BlockProblem p) {
    Sizes s = p.sizes();
    boolean[] touched = new boolean[p.W().length];
    for (int x = 0; x < s.batch() * s.iWin(); x++) {
      for (int j = 0; j < s.oWin(); j++) {
        int y = x / s.iWin() * s.oWin() + j;
        int begin = p.at(p.inputIdx()[x], p.outputIdx()[y], 0, 0);
        Arrays.fill(touched, begin, begin + s.iSize() * s.oSize(), true);
      }
    }
    return touched;
  }

  private static boolean[] touchedB(BlockProblem p) {
    int n = p.sizes().oSize();
    boolean[] touched = new boolean[p.b().length];
    for (int j : p.outputIdx()) {
      Arrays.fill(touched, j * n, (j + 1) * n, true);
    }
    return touched;
  }

  private static float[] poisoned(float[] before, boolean[] touched) {
    float[] poisoned = before.clone();
    for (int i = 0; i < poisoned.length; i++) {
      poisoned[i] = touched[i] ? Float.NaN : poisoned[i];
    }
    return poisoned;
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("org.blocksparse.products.SparseBlockContractTest#cases")
  void gradientsIntoTensorsThatAreKept(KernelsUnderTest kernels, Sizes sizes, Data data) {
    for (Numbers numbers : Numbers.values()) {
      BlockProblem p = data.blocks(sizes, numbers);
      boolean[] ofW = touchedW(p);
      boolean[] ofB = touchedB(p);
      try (Guarded memory = new Guarded();
          BlockPlan plan = p.plan(kernels.workers())) {
        FloatTensor h = memory.of("h", p.h(), sizes.h());
        FloatTensor gradOut = memory.of("gradOut", p.gradOut(), sizes.o());

        FloatTensor gradW = memory.of("gradW", poisoned(p.W(), ofW), sizes.W());
        SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.overwrite(), gradW);
        check("gradW", over(Oracle.gradW(p), p.W(), ofW), gradW, numbers);
        SparseBlockDot.clearGradW(plan, gradW);
        over(Bounded.zeros(sizes.W()), p.W(), ofW).assertExact("cleared gradW", gradW);

        FloatTensor gradB = memory.of("gradB", poisoned(p.b(), ofB), sizes.b());
        SparseBlockDot.gradB(gradOut, plan, GradientOptions.overwrite(), gradB);
        check("gradB", over(Oracle.gradB(p), p.b(), ofB), gradB, numbers);
        SparseBlockDot.clearGradB(plan, gradB);
        over(Bounded.zeros(sizes.b()), p.b(), ofB).assertExact("cleared gradB", gradB);

        FloatTensor view =
            memory.nan("view", p.sizes().oBlocks(), sizes.iBlocks(), sizes.oSize(), sizes.iSize());
        FloatTensor ofView = view.transposeBlocks();
        SparseBlockDot.clearGradW(plan, ofView);
        SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.add(1), ofView);
        float[] nan = new float[p.W().length];
        Arrays.fill(nan, Float.NaN);
        check("view of gradW", over(Oracle.gradW(p), nan, ofW), ofView, numbers);
        SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.overwrite(), ofView);
        check("view of gradW", over(Oracle.gradW(p), nan, ofW), ofView, numbers);

        FloatTensor W = memory.of("W", p.W(), sizes.W());
        for (float alpha : new float[] {1, -2, 0, 0.5f}) {
          FloatTensor gradH = memory.of("gradH", p.h(), sizes.h());
          SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.add(alpha), gradH);
          check("h + " + alpha + " gradH", added(p.h(), Oracle.gradH(p), alpha), gradH, numbers);
        }
        assertArrayEquals(p.W(), W.toArray(), "W");
        assertArrayEquals(p.h(), h.toArray(), "h");
        assertArrayEquals(p.gradOut(), gradOut.toArray(), "gradOut");
      }
    }
  }

  private static Bounded added(float[] before, Bounded gradient, float alpha) {
    Bounded sum = Bounded.zeros(gradient.shape());
    for (int i = 0; i < before.length; i++) {
      double change = alpha * gradient.values()[i];
      sum.values()[i] = before[i] + change;
      // The bound of a sum of k terms covers k + 1 roundings of all of them; alpha adds one, and
      // the previous value another summand.
      sum.bounds()[i] =
          2 * Math.abs(alpha) * gradient.bounds()[i]
              + Bounded.U * 1e3 * (Math.abs(before[i]) + Math.abs(change));
    }
    return sum;
  }

  /** NaN in untouched elements must have no effect and stay; only touched elements decay. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void blocksThatAreNotNamedStayAsTheyAre(KernelsUnderTest kernels, Data data) {
    Sizes sizes = new Sizes(5, 12, 11, 7, 18, 3, 2);
    BlockProblem p = data.blocks(sizes, Numbers.GAUSSIAN);
    boolean[] ofW = touchedW(p);
    boolean[] ofB = touchedB(p);
    Bounded gradW = Oracle.gradW(p);
    Bounded gradB = Oracle.gradB(p);
    Map<Optimizer, Float> decays = new LinkedHashMap<>();
    decays.put(Optimizer.sgd(0.1f), 0f);
    decays.put(Optimizer.sgd(0.1f).withDecay(0.5f), 0.5f);
    decays.put(Optimizer.adagrad(0.1f).withMaxNorm(0.5f), 0f);
    decays.put(ADAM, 0f);
    for (Optimizer optimizer : decays.keySet()) {
      try (Guarded memory = new Guarded();
          BlockPlan plan = p.plan(kernels.workers())) {
        float[] w = p.W().clone();
        float[] b = p.b().clone();
        for (int i = 0; i < w.length; i++) {
          w[i] = ofW[i] ? w[i] : Float.NaN;
        }
        for (int i = 0; i < b.length; i++) {
          b[i] = ofB[i] ? b[i] : Float.NaN;
        }
        FloatTensor h = memory.of("h", p.h(), sizes.h());
        FloatTensor gradOut = memory.of("gradOut", p.gradOut(), sizes.o());
        FloatTensor weights = memory.of("W", w, sizes.W());
        FloatTensor biases = memory.of("b", b, sizes.b());
        try (OptimizerState state = OptimizerState.of(weights, biases)) {
          for (int step = 0; step < 2; step++) {
            SparseBlockDot.stepW(h, gradOut, plan, optimizer, weights, state);
            SparseBlockDot.stepB(gradOut, plan, optimizer, biases, state);
          }
        }
        boolean[] movesW = moves(w, gradW, decays.get(optimizer), ofW);
        assertMoved(w, weights.toArray(), ofW, movesW, optimizer + ": W");
        assertMoved(b, biases.toArray(), ofB, moves(b, gradB, 0, ofB), optimizer + ": b");
      }
    }
  }

  /**
   * Returns the elements that a step surely changes: decay may cancel a gradient, and a tiny step
   * may round to 0.
   */
  private static boolean[] moves(float[] before, Bounded gradient, float decay, boolean[] touched) {
    boolean[] moves = touched.clone();
    for (int i = 0; i < before.length; i++) {
      double g = gradient.values()[i];
      double lost = gradient.bounds()[i] + 1e-5 * (Math.abs(g) + Math.abs(before[i]));
      moves[i] &= Math.abs(g + decay * before[i]) > lost;
    }
    return moves;
  }

  private static void assertMoved(
      float[] before, float[] after, boolean[] touched, boolean[] moves, String name) {
    for (int i = 0; i < before.length; i++) {
      if (touched[i]) {
        assertTrue(Float.isFinite(after[i]), name + " at " + i);
        assertTrue(!moves[i] || after[i] != before[i], name + " stayed at " + i);
      } else {
        assertEquals(
            Float.floatToRawIntBits(before[i]), Float.floatToRawIntBits(after[i]), name + i);
      }
    }
  }

  /**
   * Returns the change of a block whose gradient is the same in every step: Adam then moves it by
   * the rate each time.
   */
  private static float movedBy(Workers workers, Sizes sizes, int steps, Optimizer optimizer) {
    float[] ones = new float[Math.max(sizes.iSize(), sizes.oSize())];
    Arrays.fill(ones, 1);
    try (FloatTensor W = FloatTensor.zeros(sizes.W());
        FloatTensor h = FloatTensor.of(Arrays.copyOf(ones, sizes.iSize()), sizes.h());
        FloatTensor gradOut = FloatTensor.of(Arrays.copyOf(ones, sizes.oSize()), sizes.o());
        IntTensor zero = IntTensor.zeros(1, 1);
        BlockPlan plan = BlockPlan.of(zero, zero, 1, 1).withWorkers(workers);
        OptimizerState state = OptimizerState.of(W)) {
      for (int step = 0; step < steps; step++) {
        SparseBlockDot.stepW(h, gradOut, plan, optimizer, W, state);
      }
      float[] after = W.toArray();
      for (float value : after) {
        assertEquals(after[0], value, "all alike");
      }
      return after[0];
    }
  }

  /**
   * If steps were counted for each part of a block, the corrections of the moments would be too
   * large.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void stepsAreCountedOnceForABlockThatIsTakenInParts(KernelsUnderTest kernels) {
    for (int size : new int[] {1, 127, 128, 640}) {
      Sizes sizes = new Sizes(1, 1, 1, size, 250, 1, 1);
      assertEquals(-0.75f, movedBy(kernels.workers(), sizes, 3, ADAM), 1e-5, "rows " + size);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void maxNormLimitsTheStepOfAWholeBlock(KernelsUnderTest kernels) {
    // 500 x 50 gradients of 1 have the norm of the root of 25,000; each is scaled down.
    Sizes sizes = new Sizes(1, 1, 1, 500, 50, 1, 1);
    float moved = movedBy(kernels.workers(), sizes, 1, Optimizer.sgd(1).withMaxNorm(2));
    assertEquals(-2 / Math.sqrt(25_000), moved, 1e-7);
    assertEquals(-1, movedBy(kernels.workers(), sizes, 1, Optimizer.sgd(1).withMaxNorm(200)));
  }

  /** A first step of Adagrad moves every weight by the rate, whatever its gradient is. */
  @Test
  void whatIsKeptIsForgottenWithTheKindOfRuleAndNotWithItsNumbers() {
    try (FloatTensor W = FloatTensor.zeros(1, 1, 1, 1);
        FloatTensor b = FloatTensor.zeros(1, 1);
        FloatTensor one = FloatTensor.of(new float[] {1}, 1, 1, 1);
        IntTensor zero = IntTensor.zeros(1, 1);
        BlockPlan plan = BlockPlan.of(zero, zero, 1, 1);
        OptimizerState state = OptimizerState.of(W, b)) {
      Optimizer adagrad = Optimizer.adagrad(1);
      assertEquals("OptimizerState((1, 1, 1, 1) SGD, (1, 1) SGD)", state.toString());
      SparseBlockDot.stepW(one, one, plan, adagrad, W, state);
      assertEquals(-1, W.get(0, 0, 0, 0), 1e-6);
      // A rule of another kind for the other tensor leaves the state of W.
      SparseBlockDot.stepB(one, plan, Optimizer.sgd(1), b, state);
      assertEquals("OptimizerState((1, 1, 1, 1) ADAGRAD, (1, 1) SGD)", state.toString());
      SparseBlockDot.stepW(one, one, plan, adagrad.withRate(2), W, state);
      assertEquals(-1 - 2 / Math.sqrt(2), W.get(0, 0, 0, 0), 1e-6);
      SparseBlockDot.stepW(one, one, plan, Optimizer.sgd(0.5f), W, state);
      SparseBlockDot.stepW(one, one, plan, adagrad, W, state);
      assertEquals(-1 - 2 / Math.sqrt(2) - 0.5 - 1, W.get(0, 0, 0, 0), 1e-6);
    }
  }

  @Test
  void aRefusedStepLeavesWeightsAndStateAlone() {
    try (FloatTensor expected = FloatTensor.zeros(2, 1, 3, 2);
        FloatTensor actual = FloatTensor.zeros(2, 1, 3, 2);
        FloatTensor h = FloatTensor.of(new float[] {1, 2, 3}, 1, 1, 3);
        FloatTensor gradOut = FloatTensor.of(new float[] {1, -1}, 1, 1, 2);
        FloatTensor other = FloatTensor.zeros(1, 1, 3);
        IntTensor one = IntTensor.of(new int[] {1}, 1, 1);
        IntTensor zero = IntTensor.zeros(1, 1);
        BlockPlan plan = BlockPlan.of(one, zero, 2, 1);
        OptimizerState state = OptimizerState.of(expected, actual)) {
      SparseBlockDot.stepW(h, gradOut, plan, ADAM, expected, state);
      SparseBlockDot.stepW(h, gradOut, plan, ADAM, actual, state);
      for (Optimizer rule : List.of(ADAM, Optimizer.sgd(1), Optimizer.adagrad(1))) {
        assertThrows(
            IllegalArgumentException.class,
            () -> SparseBlockDot.stepW(h, other, plan, rule, actual, state));
        try (OptimizerState another = OptimizerState.of(expected)) {
          assertRejects(
              "state: was not made for W, FloatTensor(2, 1, 3, 2)",
              () -> SparseBlockDot.stepW(h, gradOut, plan, rule, actual, another));
        }
      }
      SparseBlockDot.stepW(h, gradOut, plan, ADAM, expected, state);
      SparseBlockDot.stepW(h, gradOut, plan, ADAM, actual, state);
      assertArrayEquals(expected.toArray(), actual.toArray());
    }
  }

  /** A view with the same blocks counts as the weights; one with other blocks does not. */
  @Test
  void viewsAreKnownByTheirBlocks() {
    try (FloatTensor W = FloatTensor.zeros(1, 1, 2, 2);
        FloatTensor row = FloatTensor.of(new float[] {1, 1}, 1, 1, 2);
        IntTensor zero = IntTensor.zeros(1, 1);
        BlockPlan plan = BlockPlan.of(zero, zero, 1, 1);
        OptimizerState state = OptimizerState.of(W)) {
      SparseBlockDot.stepW(row, row, plan, ADAM, W.reshape(1, 1, 2, 2), state);
      assertEquals(-0.25f, W.get(0, 0, 1, 1), 1e-6);
      FloatTensor transposed = W.transposeBlocks();
      assertThrows(
          IllegalArgumentException.class,
          () -> SparseBlockDot.stepW(row, row, plan, ADAM, transposed, state));
      assertThrows(
          IllegalArgumentException.class,
          () -> SparseBlockDot.stepB(row, plan, ADAM, W.reshape(2, 2), state));
      assertEquals(-0.25f, W.get(0, 0, 1, 1), 1e-6);
    }
  }

  @Test
  void aDensePlanIsThatOfZeros() {
    for (int batch : new int[] {0, 1, 300}) {
      try (IntTensor zeros = IntTensor.zeros(batch, 1);
          BlockPlan expected = BlockPlan.of(zeros, zeros, 1, 1);
          BlockPlan dense = BlockPlan.dense(batch);
          FloatTensor W = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6}, 1, 1, 2, 3);
          FloatTensor b = FloatTensor.of(new float[] {7, 8, 9}, 1, 3);
          FloatTensor h = FloatTensor.zeros(batch, 1, 2)) {
        h.fill(0.5f);
        assertEquals(expected.toString(), dense.toString());
        try (FloatTensor out = SparseBlockDot.apply(W, h, dense, Epilogue.none().withBias(b));
            FloatTensor same = SparseBlockDot.apply(W, h, expected, Epilogue.none().withBias(b))) {
          assertArrayEquals(same.toArray(), out.toArray());
        }
      }
    }
  }
}
