// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.check;
import static org.blocksparse.testing.Bounded.checkNew;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.RaggedProblem;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Plans in which each sample selects its own number of blocks, on every kind of kernels. */
@ExtendWith(Seeded.class)
final class RaggedPlanTest {
  /**
   * The arguments of {@link RaggedProblem#random}, with a batch whose blocks have rows for several
   * chunks.
   */
  private record Shapes(
      int batch, int iBlocks, int oBlocks, int iSize, int oSize, int mostInputs, int mostOutputs) {
    RaggedProblem problem(Data data, Numbers numbers) {
      return RaggedProblem.random(
          data, numbers, batch, iBlocks, oBlocks, iSize, oSize, mostInputs, mostOutputs);
    }
  }

  private static final List<Shapes> SHAPES =
      List.of(
          new Shapes(1, 1, 1, 1, 1, 1, 1),
          new Shapes(3, 5, 7, 13, 11, 5, 3), // primes
          new Shapes(17, 3, 2, 31, 37, 3, 2),
          new Shapes(40, 4, 3, 16, 16, 7, 6), // indices that must repeat
          new Shapes(300, 1, 1, 5, 7, 2, 2), // more rows of a block than a chunk has
          new Shapes(700, 3, 1, 3, 5, 1, 2), // and where rows are sorted by what they read: forward
          new Shapes(700, 1, 3, 3, 5, 2, 1), // and backward
          new Shapes(33, 2, 2, 130, 140, 3, 2), // large enough to be shared among workers
          new Shapes(20, 190, 210, 3, 2, 9, 8), // many blocks, few of them named
          new Shapes(9, 4, 4, 6, 5, 0, 3), // no inputs
          new Shapes(9, 4, 4, 6, 5, 3, 0), // no outputs
          new Shapes(5, 4, 4, 0, 5, 3, 3),
          new Shapes(5, 4, 4, 5, 0, 3, 3),
          new Shapes(0, 3, 2, 4, 5, 2, 2),
          new Shapes(0, 0, 0, 0, 0, 0, 0));

  static Stream<KernelsUnderTest> all() {
    return KernelsUnderTest.all().stream();
  }

  /** Returns the kernels for blocks of up to 33 x 17. */
  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(33, 17).stream();
  }

  static Stream<Arguments> cases() {
    return SHAPES.stream()
        .flatMap(
            s ->
                KernelsUnderTest.forBlocks(s.iSize(), s.oSize()).stream()
                    .map(kernels -> Arguments.of(kernels, s)));
  }

  private static BlockPlan plan(RaggedProblem p) {
    try (SparseRows inputs = SparseRows.of(p.inputBegins(), p.inputIdx());
        SparseRows outputs = SparseRows.of(p.outputBegins(), p.outputIdx())) {
      return BlockPlan.of(inputs, outputs, p.iBlocks(), p.oBlocks());
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void everyOperationAgrees(KernelsUnderTest kernels, Shapes shapes, Data data) {
    for (Numbers numbers : Numbers.values()) {
      RaggedProblem p = shapes.problem(data, numbers);
      try (Guarded memory = new Guarded();
          BlockPlan plan = plan(p).withWorkers(kernels.workers())) {
        FloatTensor W = memory.of("W", p.W(), p.shapeOfW());
        FloatTensor h = memory.of("h", p.h(), p.shapeOfH());
        FloatTensor b = memory.of("b", p.b(), p.shapeOfB());
        FloatTensor o = memory.of("o", p.o(), p.shapeOfO());
        FloatTensor gradOut = memory.of("gradOut", p.gradOut(), p.shapeOfO());
        checkNew(
            "dot", p.dot(), SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)), numbers);
        FloatTensor out = memory.nan("out", p.shapeOfO());
        SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
        check("dot over NaN", p.dot(), out, numbers);
        checkNew("gemv", p.gemv(), SparseBlockGemv.apply(o, W, h, plan), numbers);
        SparseBlockGemv.applyInPlace(W, h, plan, o);
        check("gemv in place", p.gemv(), o, numbers);
        checkNew("gradH", p.gradH(), SparseBlockDot.gradH(W, gradOut, plan), numbers);
        FloatTensor gradH = memory.nan("gradH", p.shapeOfH());
        SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.overwrite(), gradH);
        check("gradH over NaN", p.gradH(), gradH, numbers);
        checkNew("gradW", p.gradW(), SparseBlockDot.gradW(h, gradOut, plan), numbers);
        checkNew("gradB", p.gradB(), SparseBlockDot.gradB(gradOut, plan), numbers);
        SparseBlockDot.gradB(gradOut, plan, GradientOptions.add(-2), b);
        check("b", p.addGradB(-2), b, numbers);
        checkNew(
            "outer", p.outer(0.5f), SparseBlockOuter.apply(W, h, gradOut, plan, 0.5f), numbers);
        SparseBlockOuter.applyInPlace(h, gradOut, plan, -1, W);
        check("outer in place", p.outer(-1), W, numbers);
        assertArrayEquals(p.h(), h.toArray(), "h");
        assertArrayEquals(p.gradOut(), gradOut.toArray(), "gradOut");
      }
    }
  }

  private static int[] equalBegins(int batch, int window) {
    int[] begins = new int[batch + 1];
    for (int sample = 0; sample <= batch; sample++) {
      begins[sample] = sample * window;
    }
    return begins;
  }

  /** Asserts that two tensors have the same bits, and closes the first. */
  private static void assertSameBits(String name, FloatTensor expected, FloatTensor actual) {
    try (expected;
        actual) {
      assertArrayEquals(expected.toArray(), actual.toArray(), name);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("all")
  void equalWindowsHaveTheBitsOfThePlanOfTensors(KernelsUnderTest kernels, Data data) {
    for (Sizes s :
        List.of(
            new Sizes(7, 5, 4, 33, 17, 3, 2),
            new Sizes(600, 3, 1, 5, 7, 2, 1),
            new Sizes(600, 1, 2, 70, 66, 1, 2),
            new Sizes(20, 2, 2, 130, 64, 4, 4))) {
      BlockProblem p = data.blocks(s, Numbers.GAUSSIAN);
      try (FloatTensor W = FloatTensor.of(p.W(), s.W());
          FloatTensor h = FloatTensor.of(p.h(), s.h());
          FloatTensor raggedH = h.reshape((long) s.batch() * s.iWin(), s.iSize());
          FloatTensor b = FloatTensor.of(p.b(), s.b());
          FloatTensor gradOut = FloatTensor.of(p.gradOut(), s.o());
          FloatTensor raggedGradOut = gradOut.reshape((long) s.batch() * s.oWin(), s.oSize());
          IntTensor inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
          IntTensor outputIdx = IntTensor.of(p.outputIdx(), s.outputIdx());
          SparseRows inputs = SparseRows.of(equalBegins(s.batch(), s.iWin()), p.inputIdx());
          SparseRows outputs = SparseRows.of(equalBegins(s.batch(), s.oWin()), p.outputIdx());
          BlockPlan equal =
              BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks())
                  .withWorkers(kernels.workers());
          BlockPlan ragged =
              BlockPlan.of(inputs, outputs, s.iBlocks(), s.oBlocks())
                  .withWorkers(kernels.workers())) {
        assertSameBits(
            "dot",
            SparseBlockDot.apply(W, h, equal, Epilogue.none().withBias(b)),
            SparseBlockDot.apply(W, raggedH, ragged, Epilogue.none().withBias(b)));
        assertSameBits(
            "gradH",
            SparseBlockDot.gradH(W, gradOut, equal),
            SparseBlockDot.gradH(W, raggedGradOut, ragged));
        assertSameBits(
            "gradW",
            SparseBlockDot.gradW(h, gradOut, equal),
            SparseBlockDot.gradW(raggedH, raggedGradOut, ragged));
        assertSameBits(
            "gradB",
            SparseBlockDot.gradB(gradOut, equal),
            SparseBlockDot.gradB(raggedGradOut, ragged));
      }
    }
  }

  /** The operands and the plan of a product, and a gate for each row of h. */
  private record Operands(FloatTensor h, FloatTensor gradOut, FloatTensor gate, BlockPlan plan) {
    /** Returns W, b and a bias of the input blocks after some steps. */
    Map<String, float[]> stepped(BlockProblem p, float[] ofInputs, Optimizer optimizer) {
      Sizes s = p.sizes();
      try (FloatTensor W = FloatTensor.of(p.W(), s.W());
          FloatTensor b = FloatTensor.of(p.b(), s.b());
          FloatTensor bias = FloatTensor.of(ofInputs, s.iBlocks(), s.oSize());
          OptimizerState state = OptimizerState.of(W, b, bias)) {
        for (int step = 0; step < 2; step++) {
          SparseBlockDot.stepW(h, gradOut, plan, optimizer, W, state);
          SparseBlockDot.stepB(gradOut, plan, optimizer, b, state);
          InputBias.step(gradOut, gate, plan, optimizer, bias, state);
          InputBias.step(gradOut, null, plan, optimizer, bias, state);
        }
        return Map.of("W", W.toArray(), "b", b.toArray(), "bias", bias.toArray());
      }
    }

    /** Returns gradients into tensors with content, one after the other. */
    Map<String, float[]> kept(BlockProblem p, float[] ofInputs) {
      Sizes s = p.sizes();
      Map<String, float[]> kept = new LinkedHashMap<>();
      try (FloatTensor W = FloatTensor.of(p.W(), s.W());
          FloatTensor b = FloatTensor.of(p.b(), s.b());
          FloatTensor gradH = FloatTensor.of(p.h(), h.shape().toArray());
          FloatTensor bias = FloatTensor.of(ofInputs, s.iBlocks(), s.oSize());
          FloatTensor gradGate = FloatTensor.of(gate.toArray(), gate.shape().toArray())) {
        SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.add(0.3f), gradH);
        kept.put("addGradH", gradH.toArray());
        InputBias.gradGate(bias, gradOut, plan, GradientOptions.add(0.3f), gradGate);
        kept.put("addGradGate", gradGate.toArray());
        InputBias.gradGate(bias, gradOut, plan, GradientOptions.overwrite(), gradGate);
        kept.put("gradGate", gradGate.toArray());
        InputBias.gradBias(gradOut, gate, plan, GradientOptions.add(0.3f), bias);
        kept.put("addGradBias", bias.toArray());
        InputBias.gradBias(gradOut, gate, plan, GradientOptions.overwrite(), bias);
        kept.put("gradient of the bias", bias.toArray());
        InputBias.clearGradBias(plan, bias);
        kept.put("clearGradBias", bias.toArray());
        SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.overwrite(), W);
        kept.put("gradW", W.toArray());
        SparseBlockDot.clearGradW(plan, W);
        kept.put("clearGradW", W.toArray());
        SparseBlockDot.gradB(gradOut, plan, GradientOptions.overwrite(), b);
        kept.put("gradB", b.toArray());
        SparseBlockDot.clearGradB(plan, b);
        kept.put("clearGradB", b.toArray());
      }
      return kept;
    }
  }

  private static void assertSameBits(Map<String, float[]> expected, Map<String, float[]> actual) {
    expected.forEach((name, bits) -> assertArrayEquals(bits, actual.get(name), name));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void stepsAndKeptGradients_ofEqualWindowsHaveTheBitsOfThePlanOfTensors(
      KernelsUnderTest kernels, Data data) {
    Sizes s = new Sizes(70, 9, 8, 33, 17, 3, 2); // most blocks are touched, not all
    BlockProblem p = data.blocks(s, Numbers.GAUSSIAN);
    float[] bias = data.floats(Numbers.GAUSSIAN, (long) s.iBlocks() * s.oSize());
    float[] gates = data.floats(Numbers.GAUSSIAN, (long) s.batch() * s.iWin());
    try (FloatTensor h = FloatTensor.of(p.h(), s.h());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), s.o());
        FloatTensor gate = FloatTensor.of(gates, s.batch(), s.iWin());
        IntTensor inputIdx = IntTensor.of(p.inputIdx(), s.inputIdx());
        IntTensor outputIdx = IntTensor.of(p.outputIdx(), s.outputIdx());
        SparseRows inputs = SparseRows.of(equalBegins(s.batch(), s.iWin()), p.inputIdx());
        SparseRows outputs = SparseRows.of(equalBegins(s.batch(), s.oWin()), p.outputIdx());
        BlockPlan plan =
            BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks())
                .withWorkers(kernels.workers());
        BlockPlan raggedPlan =
            BlockPlan.of(inputs, outputs, s.iBlocks(), s.oBlocks())
                .withWorkers(kernels.workers())) {
      Operands equal = new Operands(h, gradOut, gate, plan);
      Operands ragged =
          new Operands(
              h.reshape(gates.length, s.iSize()),
              gradOut.reshape((long) s.batch() * s.oWin(), s.oSize()),
              gate.reshape(gates.length),
              raggedPlan);
      for (Optimizer optimizer :
          List.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.1f))) {
        assertSameBits(equal.stepped(p, bias, optimizer), ragged.stepped(p, bias, optimizer));
      }
      assertSameBits(equal.kept(p, bias), ragged.kept(p, bias));
    }
  }

  /** Returns a gradient times a factor, and the previous values where no sample touches them. */
  private static Bounded over(float[] before, Bounded gradient, double factor) {
    Bounded result = Bounded.zeros(gradient.shape());
    for (int i = 0; i < before.length; i++) {
      boolean touched = gradient.bounds()[i] > 0;
      result.values()[i] = touched ? factor * gradient.values()[i] : before[i];
    }
    return result;
  }

  /** The numbers are small integers, and alphas and rates powers of two: everything is exact. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void stepsAndKeptGradients(KernelsUnderTest kernels, Data data) {
    Numbers integers = Numbers.SMALL_INTEGERS;
    RaggedProblem p = RaggedProblem.random(data, integers, 12, 9, 8, 13, 11, 3, 3);
    float[] biases = data.floats(integers, (long) p.iBlocks() * p.oSize());
    float[] gates = data.floats(integers, p.inputIdx().length);
    Optimizer sgd = Optimizer.sgd(0.5f);
    try (Guarded memory = new Guarded();
        BlockPlan plan = plan(p).withWorkers(kernels.workers())) {
      FloatTensor h = memory.of("h", p.h(), p.shapeOfH());
      FloatTensor gradOut = memory.of("gradOut", p.gradOut(), p.shapeOfO());
      FloatTensor gate = memory.of("gate", gates, gates.length);
      FloatTensor W = memory.of("W", p.W(), p.shapeOfW());
      FloatTensor b = memory.of("b", p.b(), p.shapeOfB());
      FloatTensor bias = memory.of("bias", biases, p.iBlocks(), p.oSize());

      FloatTensor gradH = memory.of("gradH", p.h(), p.shapeOfH());
      SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.add(2), gradH);
      p.addGradH(p.h(), 2).assertExact("addGradH", gradH);
      FloatTensor gradGate = memory.of("gradGate", gates, gates.length);
      InputBias.gradGate(bias, gradOut, plan, GradientOptions.add(2), gradGate);
      p.addGradGate(gates, biases, 2).assertExact("addGradGate", gradGate);
      InputBias.gradGate(bias, gradOut, plan, GradientOptions.overwrite(), gradGate);
      p.addGradGate(new float[gates.length], biases, 1).assertExact("gradGate", gradGate);

      Bounded gradBias = p.addGradInputBias(new float[biases.length], gates, 1);
      FloatTensor keptBias = memory.of("kept bias", biases, p.iBlocks(), p.oSize());
      InputBias.gradBias(gradOut, gate, plan, GradientOptions.overwrite(), keptBias);
      over(biases, gradBias, 1).assertExact("gradient of the bias", keptBias);
      InputBias.clearGradBias(plan, keptBias);
      over(biases, gradBias, 0).assertExact("clearGradBias", keptBias);
      FloatTensor keptW = memory.of("kept W", p.W(), p.shapeOfW());
      SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.overwrite(), keptW);
      over(p.W(), p.gradW(), 1).assertExact("gradW", keptW);
      SparseBlockDot.clearGradW(plan, keptW);
      over(p.W(), p.gradW(), 0).assertExact("clearGradW", keptW);
      FloatTensor keptB = memory.of("kept b", p.b(), p.shapeOfB());
      SparseBlockDot.gradB(gradOut, plan, GradientOptions.overwrite(), keptB);
      over(p.b(), p.gradB(), 1).assertExact("gradB", keptB);
      SparseBlockDot.clearGradB(plan, keptB);
      over(p.b(), p.gradB(), 0).assertExact("clearGradB", keptB);

      try (OptimizerState state = OptimizerState.of(W, b, bias)) {
        SparseBlockDot.stepW(h, gradOut, plan, sgd, W, state);
        p.outer(-0.5f).assertExact("stepW", W);
        SparseBlockDot.stepB(gradOut, plan, sgd, b, state);
        p.addGradB(-0.5f).assertExact("stepB", b);
        InputBias.step(gradOut, gate, plan, sgd, bias, state);
        p.addGradInputBias(biases, gates, -0.5f).assertExact("step of the bias", bias);
      }
    }
  }

  @Test
  void sameBitsForAnyNumberOfWorkers(Data data) {
    RaggedProblem p = RaggedProblem.random(data, Numbers.GAUSSIAN, 400, 6, 5, 70, 66, 5, 4);
    try (BlockPlan many = plan(p);
        FloatTensor W = FloatTensor.of(p.W(), p.shapeOfW());
        FloatTensor h = FloatTensor.of(p.h(), p.shapeOfH());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), p.shapeOfO());
        FloatTensor b = FloatTensor.of(p.b(), p.shapeOfB())) {
      BlockPlan one = many.withWorkers(Workers.callingThread());
      assertSameBits(
          "dot",
          SparseBlockDot.apply(W, h, many, Epilogue.none().withBias(b)),
          SparseBlockDot.apply(W, h, one, Epilogue.none().withBias(b)));
      assertSameBits(
          "gradH", SparseBlockDot.gradH(W, gradOut, many), SparseBlockDot.gradH(W, gradOut, one));
      assertSameBits(
          "gradW", SparseBlockDot.gradW(h, gradOut, many), SparseBlockDot.gradW(h, gradOut, one));
    }
  }

  @Test
  void whatAPlanSaysOfItself() {
    try (SparseRows inputs = SparseRows.of(List.of(new int[] {1, 2}, new int[0]));
        SparseRows outputs = SparseRows.of(List.of(new int[] {0}, new int[] {3, 1, 2}));
        IntTensor idx = IntTensor.zeros(2, 3);
        BlockPlan equal = BlockPlan.of(idx, idx, 1, 1);
        BlockPlan ragged = BlockPlan.of(inputs, outputs, 3, 4)) {
      assertTrue(ragged.isRagged());
      assertFalse(equal.isRagged());
      assertEquals(2, ragged.batch());
      assertEquals(2, ragged.inputRows());
      assertEquals(4, ragged.outputRows());
      assertEquals(6, equal.inputRows());
      assertEquals(6, equal.outputRows());
      assertEquals(
          "BlockPlan(batch = 2, inputRows = 2, outputRows = 4, iBlocks = 3, oBlocks = 4)",
          ragged.toString());
      assertEquals(
          "BlockPlan(batch = 2, iWin = 3, oWin = 3, iBlocks = 1, oBlocks = 1)", equal.toString());
    }
  }

  /** The rows are copied: closing them has no effect, and slices of longer rows are possible. */
  @Test
  void rowsMayBeASliceAndAreCopied() {
    SparseRows all =
        SparseRows.of(List.of(new int[] {9}, new int[] {1, 0}, new int[0], new int[] {2}));
    SparseRows some = all.slice(1, 4);
    BlockPlan plan = BlockPlan.of(some, some, 3, 3);
    some.close();
    all.close();
    try (plan;
        FloatTensor W = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3, 1, 1);
        FloatTensor h = FloatTensor.of(new float[] {1, 10, 100}, 3, 1);
        FloatTensor b = FloatTensor.zeros(3, 1);
        FloatTensor out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b))) {
      // Sample 0 reads blocks 1 and 0 for blocks 1 and 0; sample 2 reads block 2 for block 2.
      assertArrayEquals(new float[] {5 + 20, 4 + 10, 900}, out.toArray());
    }
  }
}
