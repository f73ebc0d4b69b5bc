// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.blocksparse.testing.Bounded.check;
import static org.blocksparse.testing.Bounded.checkNew;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
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
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The contract of every operation on blocks, on every kind of kernels: exact on small integers,
 * within the documented bound on random numbers, and without effects outside its operands.
 */
@ExtendWith(Seeded.class)
final class SparseBlockContractTest {
  /** The order is batch, iBlocks, oBlocks, iSize, oSize, iWin, oWin. */
  static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 1, 1, 1),
          new Sizes(2, 8, 7, 6, 5, 4, 3), // Theano's own tests
          new Sizes(3, 5, 7, 13, 11, 2, 3), // primes
          new Sizes(5, 3, 2, 31, 37, 3, 2),
          new Sizes(7, 2, 3, 97, 101, 1, 2),
          new Sizes(63, 1, 1, 8, 8, 1, 1), // rows of one block, around powers of two
          new Sizes(64, 1, 1, 8, 8, 1, 1),
          new Sizes(65, 1, 1, 7, 9, 1, 1),
          new Sizes(127, 1, 1, 5, 17, 1, 1),
          new Sizes(128, 1, 1, 16, 3, 1, 1),
          new Sizes(129, 1, 1, 4, 4, 1, 1),
          new Sizes(191, 1, 1, 5, 7, 1, 1), // around the longest chunk
          new Sizes(192, 1, 1, 5, 7, 1, 1),
          new Sizes(193, 1, 1, 5, 7, 1, 1),
          new Sizes(511, 2, 1, 3, 5, 1, 1), // and where rows are sorted by what they read: forward,
          new Sizes(512, 2, 1, 3, 5, 1, 1),
          new Sizes(513, 2, 1, 3, 5, 1, 1),
          new Sizes(511, 1, 2, 3, 5, 1, 1), // and backward
          new Sizes(512, 1, 2, 3, 5, 1, 1),
          new Sizes(513, 1, 2, 3, 5, 1, 1),
          new Sizes(257, 2, 1, 3, 5, 2, 1),
          new Sizes(300, 3, 2, 5, 9, 2, 2),
          new Sizes(2, 2, 2, 63, 65, 2, 2), // sizes around the tiles and the bands of a row
          new Sizes(2, 2, 2, 64, 64, 2, 2),
          new Sizes(2, 1, 2, 127, 129, 1, 2),
          new Sizes(1, 1, 1, 300, 260, 1, 1),
          new Sizes(33, 2, 2, 130, 140, 2, 1), // large enough to be shared among workers
          new Sizes(4, 190, 210, 3, 2, 5, 6), // many blocks, few of them named
          new Sizes(40, 4, 3, 16, 16, 4, 3), // indices that must repeat
          new Sizes(6, 1, 1, 5, 6, 4, 3), // all indices equal
          new Sizes(0, 3, 2, 4, 5, 2, 2), // every size 0, one after the other
          new Sizes(3, 4, 4, 4, 5, 0, 2),
          new Sizes(3, 4, 4, 4, 5, 2, 0),
          new Sizes(3, 4, 4, 0, 5, 2, 2),
          new Sizes(3, 4, 4, 4, 0, 2, 2),
          new Sizes(2, 0, 3, 4, 5, 0, 2),
          new Sizes(0, 0, 0, 0, 0, 0, 0));

  /** Sizes for which a choice is OpenBLAS, by the rule of an instruction set. */
  private static final List<Sizes> SIZES_FOR_CHOICES =
      List.of(
          new Sizes(40, 1, 1, 48, 64, 1, 1), // AVX-512: gradients of W
          new Sizes(70, 2, 2, 33, 47, 1, 1), // the same for some of the blocks
          new Sizes(64, 1, 1, 128, 128, 1, 1), // portable: all products
          new Sizes(32, 1, 1, 512, 512, 1, 1)); // AVX2: gradients of W

  /** Returns kernels and sizes. */
  static Stream<Arguments> cases() {
    return Stream.concat(
        SIZES.stream()
            .flatMap(
                s ->
                    KernelsUnderTest.forBlocks(s.iSize(), s.oSize()).stream()
                        .map(kernels -> Arguments.of(kernels, s))),
        SIZES_FOR_CHOICES.stream()
            .flatMap(
                s ->
                    KernelsUnderTest.choicesForBlocks(s.iSize(), s.oSize()).stream()
                        .map(kernels -> Arguments.of(kernels, s))));
  }

  static Stream<Sizes> sizes() {
    return SIZES.stream();
  }

  static Stream<KernelsUnderTest> all() {
    return KernelsUnderTest.all().stream();
  }

  /** Returns the kernels for blocks of up to 12 x 20. */
  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(12, 20).stream();
  }

  /** A problem as tensors between guard bands. */
  private static final class Operands implements AutoCloseable {
    final Guarded memory = new Guarded();
    final BlockProblem problem;
    final FloatTensor W;
    final FloatTensor h;
    final FloatTensor b;
    final FloatTensor gradOut;
    final IntTensor inputIdx;
    final IntTensor outputIdx;
    final BlockPlan plan;

    Operands(Workers workers, BlockProblem problem, boolean transposed) {
      Sizes s = problem.sizes();
      this.problem = problem;
      this.W =
          transposed
              ? memory.of("W", problem.transposedW(), problem.transposedShape()).transposeBlocks()
              : memory.of("W", problem.W(), s.W());
      this.h = memory.of("h", problem.h(), s.h());
      this.b = memory.of("b", problem.b(), s.b());
      this.gradOut = memory.of("gradOut", problem.gradOut(), s.o());
      this.inputIdx = IntTensor.of(problem.inputIdx(), s.inputIdx());
      this.outputIdx = IntTensor.of(problem.outputIdx(), s.outputIdx());
      this.plan = BlockPlan.of(inputIdx, outputIdx, s.iBlocks(), s.oBlocks()).withWorkers(workers);
    }

    FloatTensor o() {
      return memory.of("o", problem.o(), problem.sizes().o());
    }

    /** Asserts that the inputs are unchanged. */
    void assertInputsUnchanged() {
      assertArrayEquals(problem.W(), W.toArray(), "W");
      assertArrayEquals(problem.h(), h.toArray(), "h");
      assertArrayEquals(problem.b(), b.toArray(), "b");
      assertArrayEquals(problem.gradOut(), gradOut.toArray(), "gradOut");
      assertArrayEquals(problem.inputIdx(), inputIdx.toArray(), "inputIdx");
      assertArrayEquals(problem.outputIdx(), outputIdx.toArray(), "outputIdx");
    }

    @Override
    public void close() {
      plan.close();
      inputIdx.close();
      outputIdx.close();
      memory.close();
    }
  }

  /** Closes the expected tensor. */
  private static void assertSameBits(String name, FloatTensor expected, FloatTensor actual) {
    try (expected) {
      assertArrayEquals(expected.toArray(), actual.toArray(), name);
    }
  }

  private interface Body {
    void run(Operands operands, Numbers numbers);
  }

  /** Runs a test on integers and on random numbers, with W itself and with a transposed view. */
  private static void forAll(Workers workers, Sizes sizes, Data data, Body body) {
    for (Numbers numbers : Numbers.values()) {
      BlockProblem problem = data.blocks(sizes, numbers);
      for (boolean transposed : new boolean[] {false, true}) {
        try (Operands operands = new Operands(workers, problem, transposed)) {
          body.run(operands, numbers);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gemv(KernelsUnderTest kernels, Sizes sizes, Data data) {
    forAll(
        kernels.workers(),
        sizes,
        data,
        (t, numbers) -> {
          Bounded expected = Oracle.gemv(t.problem);
          FloatTensor o = t.o();
          checkNew("new", expected, SparseBlockGemv.apply(o, t.W, t.h, t.plan), numbers);
          assertArrayEquals(t.problem.o(), o.toArray(), "o is left as it is");
          SparseBlockGemv.applyInPlace(t.W, t.h, t.plan, o);
          check("in place", expected, o, numbers);
          t.assertInputsUnchanged();
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void dot(KernelsUnderTest kernels, Sizes sizes, Data data) {
    forAll(
        kernels.workers(),
        sizes,
        data,
        (t, numbers) -> {
          Bounded expected = Oracle.dot(t.problem);
          checkNew(
              "new",
              expected,
              SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b)),
              numbers);
          FloatTensor out = t.memory.nan("out", sizes.o());
          SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b), out);
          check("over NaN", expected, out, numbers);
          t.assertInputsUnchanged();
        });
  }

  /**
   * Without a plan, operations run on the current kernels: results are right, and have the bits of
   * a plan.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("sizes")
  void byIndices(Sizes sizes, Data data) {
    forAll(
        Workers.common(),
        sizes,
        data,
        (t, numbers) -> {
          FloatTensor o = t.o();
          FloatTensor gemv = SparseBlockGemv.apply(o, t.W, t.h, t.inputIdx, t.outputIdx);
          assertArrayEquals(t.problem.o(), o.toArray(), "o is left as it is");
          assertSameBits("gemv", SparseBlockGemv.apply(o, t.W, t.h, t.plan), gemv);
          checkNew("gemv", Oracle.gemv(t.problem), gemv, numbers);
          FloatTensor dot = SparseBlockDot.apply(t.W, t.h, t.inputIdx, t.b, t.outputIdx);
          assertSameBits(
              "dot", SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b)), dot);
          checkNew("dot", Oracle.dot(t.problem), dot, numbers);
          if (sizes.batch() == 1) { // a sample may have one dimension less
            try (IntTensor inputs = IntTensor.of(t.problem.inputIdx(), sizes.iWin());
                IntTensor outputs = IntTensor.of(t.problem.outputIdx(), sizes.oWin())) {
              FloatTensor h = t.h.reshape(sizes.iWin(), sizes.iSize());
              checkNew(
                  "dot of a matrix",
                  Oracle.dot(t.problem),
                  SparseBlockDot.apply(t.W, h, inputs, t.b, outputs),
                  numbers);
            }
          }
          for (float alpha : new float[] {1, -2, 0, 0.5f}) {
            FloatTensor outer =
                SparseBlockOuter.apply(t.W, t.h, t.gradOut, t.inputIdx, t.outputIdx, alpha);
            String name = "outer, alpha " + alpha;
            assertSameBits(name, SparseBlockOuter.apply(t.W, t.h, t.gradOut, t.plan, alpha), outer);
            checkNew(name, Oracle.outer(t.problem, alpha), outer, numbers);
          }
          t.assertInputsUnchanged();
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradients(KernelsUnderTest kernels, Sizes sizes, Data data) {
    forAll(
        kernels.workers(),
        sizes,
        data,
        (t, numbers) -> {
          Bounded gradH = Oracle.gradH(t.problem);
          checkNew("gradH", gradH, SparseBlockDot.gradH(t.W, t.gradOut, t.plan), numbers);
          FloatTensor out = t.memory.nan("gradH", sizes.h());
          SparseBlockDot.gradH(t.W, t.gradOut, t.plan, GradientOptions.overwrite(), out);
          check("gradH over NaN", gradH, out, numbers);
          checkNew(
              "gradW",
              Oracle.gradW(t.problem),
              SparseBlockDot.gradW(t.h, t.gradOut, t.plan),
              numbers);
          checkNew(
              "gradB", Oracle.gradB(t.problem), SparseBlockDot.gradB(t.gradOut, t.plan), numbers);
          for (float alpha : new float[] {1, -0.5f, 0}) {
            FloatTensor b = t.memory.of("b", t.problem.b(), sizes.b());
            SparseBlockDot.gradB(t.gradOut, t.plan, GradientOptions.add(alpha), b);
            check("b + " + alpha + " gradB", Oracle.addGradB(t.problem, alpha), b, numbers);
          }
          t.assertInputsUnchanged();
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void outer(KernelsUnderTest kernels, Sizes sizes, Data data) {
    forAll(
        kernels.workers(),
        sizes,
        data,
        (t, numbers) -> {
          for (float alpha : new float[] {1, -2, 0, 0.5f}) {
            Bounded expected = Oracle.outer(t.problem, alpha);
            checkNew(
                "new, alpha " + alpha,
                expected,
                SparseBlockOuter.apply(t.W, t.h, t.gradOut, t.plan, alpha),
                numbers);
          }
          t.assertInputsUnchanged();
          SparseBlockOuter.applyInPlace(t.h, t.gradOut, t.plan, -1, t.W);
          check("in place", Oracle.outer(t.problem, -1), t.W, numbers);
        });
  }

  @Tag("xcheck")
  @ParameterizedTest(name = "{0}")
  @MethodSource("all")
  void nanAndInfinityFlowThroughAndNowhereElse(KernelsUnderTest kernels, Data data) {
    for (Sizes sizes :
        List.of(
            new Sizes(3, 8, 7, 6, 5, 4, 3),
            new Sizes(130, 2, 2, 17, 33, 1, 1),
            new Sizes(40, 1, 1, 48, 64, 1, 1),
            new Sizes(2, 2, 3, 100, 129, 2, 2))) {
      for (float poison :
          new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
        BlockProblem problem = data.blocks(sizes, Numbers.SMALL_INTEGERS);
        problem.h()[data.below(problem.h().length)] = poison;
        problem.gradOut()[data.below(problem.gradOut().length)] = poison;
        problem.o()[data.below(problem.o().length)] = poison;
        problem.b()[data.below(problem.b().length)] = poison;
        problem.W()[data.below(problem.W().length)] = poison;
        try (Operands t = new Operands(kernels.workers(), problem, data.below(2) == 1)) {
          String name = sizes + " with " + poison + ": ";
          checkNew(
              name + "gemv",
              Oracle.gemv(problem),
              SparseBlockGemv.apply(t.o(), t.W, t.h, t.plan),
              Numbers.SMALL_INTEGERS);
          checkNew(
              name + "dot",
              Oracle.dot(problem),
              SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b)),
              Numbers.SMALL_INTEGERS);
          checkNew(
              name + "gradH",
              Oracle.gradH(problem),
              SparseBlockDot.gradH(t.W, t.gradOut, t.plan),
              Numbers.SMALL_INTEGERS);
          checkNew(
              name + "gradW",
              Oracle.gradW(problem),
              SparseBlockDot.gradW(t.h, t.gradOut, t.plan),
              Numbers.SMALL_INTEGERS);
          checkNew(
              name + "gradB",
              Oracle.gradB(problem),
              SparseBlockDot.gradB(t.gradOut, t.plan),
              Numbers.SMALL_INTEGERS);
          for (float alpha : new float[] {1, 0, -1}) {
            checkNew(
                name + "outer, alpha " + alpha,
                Oracle.outer(problem, alpha),
                SparseBlockOuter.apply(t.W, t.h, t.gradOut, t.plan, alpha),
                Numbers.SMALL_INTEGERS);
          }
        }
      }
    }
  }

  /** NaN in every block that is not named must have no effect. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void blocksThatAreNotNamedAreNotTouched(KernelsUnderTest kernels, Data data) {
    Sizes sizes = new Sizes(9, 12, 11, 7, 18, 3, 2);
    BlockProblem problem = data.blocks(sizes, Numbers.SMALL_INTEGERS);
    boolean[][] named = new boolean[sizes.iBlocks()][sizes.oBlocks()];
    for (int sample = 0; sample < sizes.batch(); sample++) {
      for (int i = 0; i < sizes.iWin(); i++) {
        for (int j = 0; j < sizes.oWin(); j++) {
          named[problem.inputIdx()[sample * sizes.iWin() + i]][
                  problem.outputIdx()[sample * sizes.oWin() + j]] =
              true;
        }
      }
    }
    int size = sizes.iSize() * sizes.oSize();
    for (int i = 0; i < sizes.iBlocks(); i++) {
      for (int j = 0; j < sizes.oBlocks(); j++) {
        if (!named[i][j]) {
          Arrays.fill(
              problem.W(), problem.at(i, j, 0, 0), problem.at(i, j, 0, 0) + size, Float.NaN);
        }
      }
    }
    boolean[] output = Oracle.named(problem.outputIdx(), sizes.oBlocks());
    for (int j = 0; j < sizes.oBlocks(); j++) {
      if (!output[j]) {
        Arrays.fill(problem.b(), j * sizes.oSize(), (j + 1) * sizes.oSize(), Float.NaN);
      }
    }
    try (Operands t = new Operands(kernels.workers(), problem, false)) {
      checkNew(
          "dot",
          Oracle.dot(problem),
          SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b)),
          Numbers.SMALL_INTEGERS);
      checkNew(
          "gradH",
          Oracle.gradH(problem),
          SparseBlockDot.gradH(t.W, t.gradOut, t.plan),
          Numbers.SMALL_INTEGERS);
      SparseBlockOuter.applyInPlace(t.h, t.gradOut, t.plan, -1, t.W);
      check("outer", Oracle.outer(problem, -1), t.W, Numbers.SMALL_INTEGERS);
      SparseBlockDot.gradB(t.gradOut, t.plan, GradientOptions.add(-1), t.b);
      check("b", Oracle.addGradB(problem, -1), t.b, Numbers.SMALL_INTEGERS);
    }
  }

  /** All samples select one block, and each selects another one. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void skewedIndices(KernelsUnderTest kernels, Data data) {
    Sizes sizes = new Sizes(400, 50, 40, 12, 20, 2, 2);
    int[] inputIdx = new int[800];
    int[] outputIdx = new int[800];
    for (int sample = 0; sample < 400; sample++) {
      inputIdx[2 * sample] = 7;
      inputIdx[2 * sample + 1] = sample % 10 == 0 ? data.below(50) : 7;
      outputIdx[2 * sample] = data.below(40);
      outputIdx[2 * sample + 1] = 39;
    }
    BlockProblem problem = data.blocks(sizes, Numbers.SMALL_INTEGERS, inputIdx, outputIdx);
    try (Operands t = new Operands(kernels.workers(), problem, false)) {
      checkNew(
          "dot",
          Oracle.dot(problem),
          SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b)),
          Numbers.SMALL_INTEGERS);
      checkNew(
          "gradH",
          Oracle.gradH(problem),
          SparseBlockDot.gradH(t.W, t.gradOut, t.plan),
          Numbers.SMALL_INTEGERS);
      checkNew(
          "gradW",
          Oracle.gradW(problem),
          SparseBlockDot.gradW(t.h, t.gradOut, t.plan),
          Numbers.SMALL_INTEGERS);
      checkNew(
          "gradB",
          Oracle.gradB(problem),
          SparseBlockDot.gradB(t.gradOut, t.plan),
          Numbers.SMALL_INTEGERS);
    }
  }
}
