// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.check;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.testing.ActivationOracle;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.RaggedProblem;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Steps fused to products, on every kind of kernels: sums compared with the definition, exact on
 * small integers, and the following steps with the bits of {@link Activation}, whose own contract
 * is tested elsewhere.
 */
@ExtendWith(Seeded.class)
final class EpilogueContractTest {
  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 2, 1, 1),
          new Sizes(3, 5, 7, 13, 22, 2, 3),
          new Sizes(5, 3, 2, 31, 37, 3, 2),
          new Sizes(300, 3, 2, 5, 10, 2, 2),
          new Sizes(1, 1, 1, 300, 260, 1, 1), // cut by columns
          new Sizes(33, 2, 2, 130, 140, 2, 1),
          new Sizes(40, 4, 3, 16, 16, 4, 3), // indices that must repeat
          new Sizes(0, 3, 2, 4, 6, 2, 2), // every size 0, one after the other
          new Sizes(3, 4, 4, 4, 6, 0, 2),
          new Sizes(3, 4, 4, 4, 6, 2, 0),
          new Sizes(3, 4, 4, 0, 6, 2, 2),
          new Sizes(3, 4, 4, 4, 0, 2, 2));

  static Stream<Arguments> cases() {
    return SIZES.stream()
        .flatMap(
            s ->
                KernelsUnderTest.forBlocks(s.iSize(), s.oSize()).stream()
                    .map(kernels -> Arguments.of(kernels, s)));
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(7, 10).stream();
  }

  /** A problem with an input bias and factors for each row. */
  private static final class World implements AutoCloseable {
    final Guarded memory = new Guarded();
    final BlockProblem problem;
    final float[] inputBiases;
    final float[] inputGates;
    final float[] gates;
    final FloatTensor W;
    final FloatTensor h;
    final FloatTensor b;
    final FloatTensor gradOut;
    final FloatTensor inputBias;
    final FloatTensor inputGate;
    final FloatTensor gate;
    final BlockPlan plan;

    World(Workers workers, Sizes s, Data data, Numbers numbers) {
      problem = data.blocks(s, numbers);
      inputBiases = data.floats(numbers, (long) s.iBlocks() * s.oSize());
      inputGates = data.floats(numbers, (long) s.batch() * s.iWin());
      gates = data.floats(numbers, (long) s.batch() * s.oWin());
      W = memory.of("W", problem.W(), s.W());
      h = memory.of("h", problem.h(), s.h());
      b = memory.of("b", problem.b(), s.b());
      gradOut = memory.of("gradOut", problem.gradOut(), s.o());
      inputBias = memory.of("inputBias", inputBiases, s.iBlocks(), s.oSize());
      inputGate = memory.of("inputGate", inputGates, s.batch(), s.iWin());
      gate = memory.of("gate", gates, s.batch(), s.oWin());
      try (IntTensor inputIdx = IntTensor.of(problem.inputIdx(), s.inputIdx());
          IntTensor outputIdx = IntTensor.of(problem.outputIdx(), s.outputIdx())) {
        plan = BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks()).withWorkers(workers);
      }
    }

    void assertInputsUnchanged() {
      assertArrayEquals(problem.W(), W.toArray(), "W");
      assertArrayEquals(problem.h(), h.toArray(), "h");
      assertArrayEquals(problem.b(), b.toArray(), "b");
      assertArrayEquals(problem.gradOut(), gradOut.toArray(), "gradOut");
      assertArrayEquals(inputBiases, inputBias.toArray(), "inputBias");
      assertArrayEquals(inputGates, inputGate.toArray(), "inputGate");
      assertArrayEquals(gates, gate.toArray(), "gate");
    }

    /** Returns the sums by their definition. */
    Bounded sums(boolean withBias, boolean withInputBias, boolean withInputGate) {
      Sizes s = problem.sizes();
      BlockProblem unbiased =
          problem.with(problem.W(), withBias ? problem.b() : new float[problem.b().length]);
      Bounded sums = Oracle.dot(unbiased);
      for (int row = 0; withInputBias && row < s.batch() * s.oWin(); row++) {
        int sample = row / s.oWin();
        for (int input = sample * s.iWin(); input < (sample + 1) * s.iWin(); input++) {
          double factor = withInputGate ? inputGates[input] : 1;
          for (int q = 0; q < s.oSize(); q++) {
            double term = factor * inputBiases[problem.inputIdx()[input] * s.oSize() + q];
            int at = row * s.oSize() + q;
            sums.values()[at] += term;
            // Each term has one more rounding in the bound.
            sums.bounds()[at] +=
                Bounded.U
                    * ((long) s.iWin() * (s.iSize() + 1) + 2)
                    * (Math.abs(term) + Math.abs(sums.values()[at]));
          }
        }
      }
      return sums;
    }

    @Override
    public void close() {
      plan.close();
      memory.close();
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void biases(KernelsUnderTest kernels, Sizes sizes, Data data) {
    for (Numbers numbers : Numbers.values()) {
      try (World w = new World(kernels.workers(), sizes, data, numbers)) {
        Epilogue none = Epilogue.none();
        FloatTensor out = w.memory.nan("out", sizes.o());
        SparseBlockDot.apply(w.W, w.h, w.plan, none, out);
        check("none", w.sums(false, false, false), out, numbers);
        SparseBlockDot.apply(w.W, w.h, w.plan, none.withBias(w.b), out);
        check("bias", w.sums(true, false, false), out, numbers);
        try (FloatTensor unfused =
            SparseBlockDot.apply(w.W, w.h, w.plan, Epilogue.none().withBias(w.b))) {
          assertArrayEquals(unfused.toArray(), out.toArray(), "bits of the product with b");
        }
        FloatTensor again = w.memory.nan("out", sizes.o());
        SparseBlockDot.apply(w.W, w.h, w.plan, none.withInputBias(w.inputBias), again);
        check("input bias", w.sums(false, true, false), again, numbers);
        SparseBlockDot.apply(
            w.W, w.h, w.plan, none.withInputBias(w.inputBias, w.inputGate).withBias(w.b), again);
        check("both biases", w.sums(true, true, true), again, numbers);
        w.assertInputsUnchanged();
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void productsAndInputBiasesAreAddedToTheOutput(KernelsUnderTest kernels, Sizes sizes, Data data) {
    try (World w = new World(kernels.workers(), sizes, data, Numbers.SMALL_INTEGERS)) {
      for (Epilogue epilogue :
          List.of(
              Epilogue.none(),
              Epilogue.none().withInputBias(w.inputBias),
              Epilogue.none().withInputBias(w.inputBias, w.inputGate))) {
        assertArrayEquals(sizes.o(), w.plan.outputShape(sizes.oSize()).toArray());
        assertArrayEquals(sizes.h(), w.plan.inputShape(sizes.iSize()).toArray());
        FloatTensor out = w.memory.nan("out", sizes.o());
        out.fill(3);
        SparseBlockDot.apply(w.W, w.h, w.plan, epilogue.accumulating(), out);
        try (FloatTensor sums = SparseBlockDot.apply(w.W, w.h, w.plan, epilogue)) {
          float[] expected = sums.toArray();
          for (int i = 0; i < expected.length; i++) {
            expected[i] += 3;
          }
          assertArrayEquals(expected, out.toArray());
        }
      }
      w.assertInputsUnchanged();
      FloatTensor out = w.memory.nan("out", sizes.o());
      for (Epilogue whole :
          List.of(
              Epilogue.none().withBias(w.b),
              Epilogue.none().withActivation(Activation.RELU),
              Epilogue.none().withGate(w.gate))) {
        assertRejects(
            "epilogue: expected no bias, activation or gate, as it is accumulating",
            () -> SparseBlockDot.apply(w.W, w.h, w.plan, whole.accumulating(), out));
      }
    }
  }

  /** All activations, with and without a stored z and a gate. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void activationsHaveTheBitsOfThoseThatAreNotFused(
      KernelsUnderTest kernels, Sizes sizes, Data data) {
    try (World w = new World(kernels.workers(), sizes, data, Numbers.GAUSSIAN)) {
      Epilogue biased = Epilogue.none().withBias(w.b).withInputBias(w.inputBias, w.inputGate);
      FloatTensor sums = w.memory.nan("sums", sizes.o());
      SparseBlockDot.apply(w.W, w.h, w.plan, biased, sums);
      for (Activation f : Activation.values()) {
        if (f.isGated() && sizes.oSize() % 2 == 1) {
          continue;
        }
        int n = ActivationOracle.outSize(f, sizes.oSize());
        long[] shape = {sizes.batch(), sizes.oWin(), n};
        FloatTensor plain = w.memory.nan("plain", shape);
        Activations.apply(f, sums, null, plain, kernels.workers());
        FloatTensor gated = w.memory.nan("gated", shape);
        Activations.apply(f, sums, w.gate, gated, kernels.workers());
        FloatTensor z = w.memory.nan("z", sizes.o());
        FloatTensor out = w.memory.nan("out", shape);
        SparseBlockDot.apply(w.W, w.h, w.plan, biased.withActivation(f), out);
        assertArrayEquals(plain.toArray(), out.toArray(), f + " without z");
        try (FloatTensor made =
            SparseBlockDot.apply(w.W, w.h, w.plan, biased.withActivation(f, z).withGate(w.gate))) {
          assertArrayEquals(gated.toArray(), made.toArray(), f + " with z and gate");
        }
        assertArrayEquals(sums.toArray(), z.toArray(), f + ": z");
        SparseBlockDot.apply(w.W, w.h, w.plan, biased.withGate(w.gate).withActivation(f), out);
        assertArrayEquals(gated.toArray(), out.toArray(), f + " with gate");
      }
      FloatTensor scaled = w.memory.nan("scaled", sizes.o());
      Activations.apply(Activation.IDENTITY, sums, w.gate, scaled, kernels.workers());
      SparseBlockDot.apply(w.W, w.h, w.plan, biased.withGate(w.gate), sums);
      assertArrayEquals(scaled.toArray(), sums.toArray(), "a gate alone");
      w.assertInputsUnchanged();
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradientsHaveTheBitsOfThoseThatAreNotFused(
      KernelsUnderTest kernels, Sizes sizes, Data data) {
    try (World w = new World(kernels.workers(), sizes, data, Numbers.GAUSSIAN);
        FloatTensor gradH = SparseBlockDot.gradH(w.W, w.gradOut, w.plan)) {
      for (Activation f : Activation.values()) {
        int width = f.isGated() ? 2 * sizes.iSize() : sizes.iSize();
        long[] shape = {sizes.batch(), sizes.iWin(), width};
        long[] rows = {sizes.batch(), sizes.iWin()};
        float[] zs = data.floats(Numbers.GAUSSIAN, shape[0] * shape[1] * shape[2]);
        FloatTensor z = w.memory.of("z", zs, shape);
        FloatTensor expected = w.memory.nan("expected", shape);
        FloatTensor gradZ = w.memory.nan("gradZ", shape);
        Activations.gradient(f, z, gradH, GradientOptions.overwrite(), expected, kernels.workers());
        SparseBlockDot.gradH(
            w.W, w.gradOut, w.plan, GradientOptions.overwrite().withActivation(f, z), gradZ);
        assertArrayEquals(expected.toArray(), gradZ.toArray(), f + "");
        FloatTensor expectedGate = w.memory.nan("expectedGate", rows);
        FloatTensor gradGate = w.memory.nan("gradGate", rows);
        Activations.gradient(
            f,
            z,
            gradH,
            GradientOptions.overwrite().withGate(w.inputGate, expectedGate),
            expected,
            kernels.workers());
        SparseBlockDot.gradH(
            w.W,
            w.gradOut,
            w.plan,
            GradientOptions.overwrite().withActivation(f, z).withGate(w.inputGate, gradGate),
            gradZ);
        assertArrayEquals(expected.toArray(), gradZ.toArray(), f + " with gate");
        assertArrayEquals(expectedGate.toArray(), gradGate.toArray(), f + ": gradGate");
        Activations.gradient(f, z, gradH, GradientOptions.add(0.3f), expected, kernels.workers());
        SparseBlockDot.gradH(
            w.W, w.gradOut, w.plan, GradientOptions.add(0.3f).withActivation(f, z), gradZ);
        assertArrayEquals(expected.toArray(), gradZ.toArray(), f + " added");
        Activations.gradient(
            f,
            z,
            gradH,
            GradientOptions.add(-2).withGate(w.inputGate, expectedGate),
            expected,
            kernels.workers());
        SparseBlockDot.gradH(
            w.W,
            w.gradOut,
            w.plan,
            GradientOptions.add(-2).withActivation(f, z).withGate(w.inputGate, gradGate),
            gradZ);
        assertArrayEquals(expected.toArray(), gradZ.toArray(), f + " with gate, added");
        assertArrayEquals(expectedGate.toArray(), gradGate.toArray(), f + ": gradGate, added");
        assertArrayEquals(zs, z.toArray(), "z is left as it is");
      }
      w.assertInputsUnchanged();
    }
  }

  /** Returns the sums of a ragged plan by their definition, with both biases. */
  private static Bounded sums(RaggedProblem p, float[] inputBias, float[] inputGate) {
    Bounded sums = p.dot();
    for (int sample = 0; sample < p.batch(); sample++) {
      int inputs = p.inputBegins()[sample + 1] - p.inputBegins()[sample];
      for (int row = p.outputBegins()[sample]; row < p.outputBegins()[sample + 1]; row++) {
        for (int input = p.inputBegins()[sample]; input < p.inputBegins()[sample + 1]; input++) {
          for (int q = 0; q < p.oSize(); q++) {
            double bias = inputBias[p.inputIdx()[input] * p.oSize() + q];
            double term = inputGate[input] * bias;
            int at = row * p.oSize() + q;
            sums.values()[at] += term;
            sums.bounds()[at] +=
                Bounded.U
                    * ((long) inputs * (p.iSize() + 1) + 2)
                    * (Math.abs(term) + Math.abs(sums.values()[at]));
          }
        }
      }
    }
    return sums;
  }

  /** Samples that each have their own number of inputs and outputs, sometimes none. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void raggedPlans(KernelsUnderTest kernels, Data data) {
    for (Numbers numbers : Numbers.values()) {
      RaggedProblem p = RaggedProblem.random(data, numbers, 19, 4, 3, 7, 10, 5, 4);
      long inputs = p.inputIdx().length;
      long outputs = p.outputIdx().length;
      float[] biases = data.floats(numbers, 40);
      float[] factors = data.floats(numbers, inputs);
      try (Guarded memory = new Guarded();
          SparseRows inputRows = SparseRows.of(p.inputBegins(), p.inputIdx());
          SparseRows outputRows = SparseRows.of(p.outputBegins(), p.outputIdx());
          BlockPlan plan =
              BlockPlan.of(inputRows, outputRows, 4, 3).withWorkers(kernels.workers());
          FloatTensor W = FloatTensor.of(p.W(), p.shapeOfW());
          FloatTensor h = FloatTensor.of(p.h(), p.shapeOfH());
          FloatTensor b = FloatTensor.of(p.b(), p.shapeOfB());
          FloatTensor inputBias = FloatTensor.of(biases, 4, 10);
          FloatTensor inputGate = FloatTensor.of(factors, inputs);
          FloatTensor gate = FloatTensor.of(data.floats(numbers, outputs), outputs)) {
        Epilogue biased = Epilogue.none().withBias(b).withInputBias(inputBias, inputGate);
        FloatTensor sums = memory.nan("sums", outputs, 10);
        SparseBlockDot.apply(W, h, plan, biased, sums);
        check("sums", sums(p, biases, factors), sums, numbers);
        FloatTensor expected = memory.nan("expected", outputs, 5);
        Activations.apply(Activation.GEGLU, sums, gate, expected, kernels.workers());
        FloatTensor z = memory.nan("z", outputs, 10);
        FloatTensor out = memory.nan("out", outputs, 5);
        SparseBlockDot.apply(
            W, h, plan, biased.withActivation(Activation.GEGLU, z).withGate(gate), out);
        assertArrayEquals(expected.toArray(), out.toArray());
        assertArrayEquals(sums.toArray(), z.toArray());
        assertGradientsHaveTheBitsOfThoseThatAreNotFused(kernels, data, p, plan);
      }
    }
  }

  private static void assertGradientsHaveTheBitsOfThoseThatAreNotFused(
      KernelsUnderTest kernels, Data data, RaggedProblem p, BlockPlan plan) {
    int inputs = p.inputIdx().length;
    try (Guarded memory = new Guarded();
        FloatTensor W = FloatTensor.of(p.W(), p.shapeOfW());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), p.shapeOfO());
        FloatTensor gate = FloatTensor.of(data.floats(Numbers.GAUSSIAN, inputs), inputs);
        FloatTensor gradH = SparseBlockDot.gradH(W, gradOut, plan)) {
      FloatTensor z = memory.of("z", data.floats(Numbers.GAUSSIAN, inputs * 7L), inputs, 7);
      FloatTensor expected = memory.nan("expected", inputs, 7);
      FloatTensor expectedGate = memory.nan("expectedGate", inputs);
      Activations.gradient(
          Activation.SILU,
          z,
          gradH,
          GradientOptions.overwrite().withGate(gate, expectedGate),
          expected,
          kernels.workers());
      FloatTensor gradZ = memory.nan("gradZ", inputs, 7);
      FloatTensor gradGate = memory.nan("gradGate", inputs);
      SparseBlockDot.gradH(
          W,
          gradOut,
          plan,
          GradientOptions.overwrite().withActivation(Activation.SILU, z).withGate(gate, gradGate),
          gradZ);
      assertArrayEquals(expected.toArray(), gradZ.toArray());
      assertArrayEquals(expectedGate.toArray(), gradGate.toArray());
    }
  }

  /** Sizes large enough to be divided among workers, with many chunks and cut by columns. */
  @ParameterizedTest
  @EnumSource
  void sameBitsForAnyNumberOfWorkers(Activation f, Data data) {
    ForkJoinPool pool = new ForkJoinPool(4);
    try {
      for (Sizes sizes :
          new Sizes[] {new Sizes(700, 3, 4, 24, 48, 2, 2), new Sizes(3, 1, 1, 512, 768, 1, 1)}) {
        int width = f.isGated() ? 2 * sizes.iSize() : sizes.iSize();
        float[] zs = data.floats(Numbers.GAUSSIAN, (long) sizes.batch() * sizes.iWin() * width);
        try (World w = new World(Workers.callingThread(), sizes, data, Numbers.GAUSSIAN);
            FloatTensor z = FloatTensor.of(zs, sizes.batch(), sizes.iWin(), width)) {
          Epilogue epilogue =
              Epilogue.none()
                  .withBias(w.b)
                  .withInputBias(w.inputBias, w.inputGate)
                  .withActivation(f)
                  .withGate(w.gate);
          float[][] results = new float[6][];
          for (int i = 0; i < 2; i++) {
            BlockPlan plan =
                w.plan.withWorkers(i == 0 ? Workers.callingThread() : Workers.of(pool, 4));
            try (FloatTensor out = SparseBlockDot.apply(w.W, w.h, plan, epilogue);
                FloatTensor gradZ = FloatTensor.zeros(sizes.batch(), sizes.iWin(), width);
                FloatTensor gradGate = FloatTensor.zeros(sizes.batch(), sizes.iWin())) {
              SparseBlockDot.gradH(
                  w.W,
                  w.gradOut,
                  plan,
                  GradientOptions.overwrite().withActivation(f, z).withGate(w.inputGate, gradGate),
                  gradZ);
              SparseBlockDot.gradH(
                  w.W,
                  w.gradOut,
                  plan,
                  GradientOptions.add(1).withActivation(f, z).withGate(w.inputGate, gradGate),
                  gradZ);
              results[3 * i] = out.toArray();
              results[3 * i + 1] = gradZ.toArray();
              results[3 * i + 2] = gradGate.toArray();
            }
          }
          for (int i = 0; i < 3; i++) {
            assertArrayEquals(results[i], results[i + 3]);
          }
        }
      }
    } finally {
      pool.shutdown();
    }
  }
}
