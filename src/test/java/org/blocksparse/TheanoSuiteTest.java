// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.stream.Stream;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.softmax.TheanoSoftmax;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The cases of Theano's own suites, tests/test_blocksparse.py and test_h_softmax, in its sizes.
 * Each test names its counterpart.
 */
@ExtendWith(Seeded.class)
final class TheanoSuiteTest {
  private static final Sizes SIZES = new Sizes(2, 8, 7, 6, 5, 4, 3);

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(SIZES.iSize(), SIZES.oSize()).stream();
  }

  /**
   * Returns gemv_data: the indices of a sample are a part of a permutation, so they do not repeat.
   */
  private static BlockProblem gemvData(Data data) {
    return data.blocks(SIZES, Numbers.GAUSSIAN, distinct(data, 2, 4, 8), distinct(data, 2, 3, 7));
  }

  private static int[] distinct(Data data, int batch, int window, int bound) {
    int[] indices = new int[batch * window];
    for (int sample = 0; sample < batch; sample++) {
      boolean[] used = new boolean[bound];
      for (int i = 0; i < window; i++) {
        int index = data.below(bound);
        while (used[index]) {
          index = (index + 1) % bound;
        }
        used[index] = true;
        indices[sample * window + i] = index;
      }
    }
    return indices;
  }

  /** A problem as tensors. */
  private static final class Tensors implements AutoCloseable {
    final FloatTensor W;
    final FloatTensor transposedW;
    final FloatTensor h;
    final FloatTensor b;
    final FloatTensor gradOut;
    final IntTensor inputIdx;
    final IntTensor outputIdx;
    final BlockPlan plan;

    Tensors(KernelsUnderTest kernels, BlockProblem p) {
      W = FloatTensor.of(p.W(), p.sizes().W());
      transposedW = FloatTensor.of(p.transposedW(), p.transposedShape());
      h = FloatTensor.of(p.h(), p.sizes().h());
      b = FloatTensor.of(p.b(), p.sizes().b());
      gradOut = FloatTensor.of(p.gradOut(), p.sizes().o());
      inputIdx = IntTensor.of(p.inputIdx(), p.sizes().inputIdx());
      outputIdx = IntTensor.of(p.outputIdx(), p.sizes().outputIdx());
      plan =
          BlockPlan.of(inputIdx, outputIdx, p.sizes().iBlocks(), p.sizes().oBlocks())
              .withWorkers(kernels.workers());
    }

    /** b.take(outputIdx, axis = 0) */
    FloatTensor takeBias(BlockProblem p) {
      int oSize = p.sizes().oSize();
      float[] taken = new float[p.outputIdx().length * oSize];
      for (int row = 0; row < p.outputIdx().length; row++) {
        System.arraycopy(p.b(), p.outputIdx()[row] * oSize, taken, row * oSize, oSize);
      }
      return FloatTensor.of(taken, p.sizes().o());
    }

    @Override
    public void close() {
      plan.close();
      for (Tensor tensor : new Tensor[] {W, transposedW, h, b, gradOut, inputIdx, outputIdx}) {
        tensor.close();
      }
    }
  }

  private static void check(String name, Bounded expected, FloatTensor actual) {
    try (actual) {
      expected.assertHolds(name, actual);
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockDot(KernelsUnderTest kernels, Data data) {
    BlockProblem p = gemvData(data);
    try (Tensors t = new Tensors(kernels, p)) {
      check(
          "out",
          Oracle.dot(p),
          SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b)));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockGemv(KernelsUnderTest kernels, Data data) {
    BlockProblem p = gemvData(data);
    try (Tensors t = new Tensors(kernels, p);
        FloatTensor o = t.takeBias(p)) {
      check("out", Oracle.dot(p), SparseBlockGemv.apply(o, t.W, t.h, t.plan));
    }
  }

  /** W in Fortran order. */
  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockGemvF(KernelsUnderTest kernels, Data data) {
    BlockProblem p = gemvData(data);
    try (Tensors t = new Tensors(kernels, p);
        FloatTensor W = t.transposedW.transposeBlocks();
        FloatTensor o = t.takeBias(p)) {
      check("out", Oracle.dot(p), SparseBlockGemv.apply(o, W, t.h, t.plan));
    }
  }

  /** All partial derivatives of a random projection, as in verify_grad. */
  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockGemvGrad(KernelsUnderTest kernels, Data data) {
    verifyGradients(kernels, gemvData(data));
  }

  /** All dimensions are 1. */
  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockGemvGrad1(KernelsUnderTest kernels, Data data) {
    verifyGradients(kernels, data.blocks(new Sizes(1, 1, 1, 1, 1, 1, 1), Numbers.GAUSSIAN));
  }

  private static void verifyGradients(KernelsUnderTest kernels, BlockProblem p) {
    try (Tensors t = new Tensors(kernels, p)) {
      check("gradW", Oracle.gradW(p), SparseBlockDot.gradW(t.h, t.gradOut, t.plan));
      check("gradH", Oracle.gradH(p), SparseBlockDot.gradH(t.W, t.gradOut, t.plan));
      check("gradB", Oracle.gradB(p), SparseBlockDot.gradB(t.gradOut, t.plan));
    }
  }

  /** The gradient of the sum of all outputs, which is all ones: its shapes and its values. */
  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockGemvGradShape(KernelsUnderTest kernels, Data data) {
    BlockProblem p = gemvData(data);
    Arrays.fill(p.gradOut(), 1);
    verifyGradients(kernels, p);
    try (Tensors t = new Tensors(kernels, p);
        FloatTensor gradB = SparseBlockDot.gradB(t.gradOut, t.plan);
        FloatTensor gradW = SparseBlockDot.gradW(t.h, t.gradOut, t.plan);
        FloatTensor gradH = SparseBlockDot.gradH(t.W, t.gradOut, t.plan)) {
      assertEquals(t.b.shape(), gradB.shape());
      assertEquals(t.W.shape(), gradW.shape());
      assertEquals(t.h.shape(), gradH.shape());
      // The gradient of a bias is the number of times that its block is selected.
      float[] expected = new float[35];
      for (int block : p.outputIdx()) {
        for (int q = 0; q < 5; q++) {
          expected[block * 5 + q]++;
        }
      }
      assertArrayEquals(expected, gradB.toArray());
    }
  }

  /** outer_data: indices may repeat. Theano ignores alpha on CPUs; its tests leave it at 1. */
  @ParameterizedTest
  @MethodSource("kernels")
  void testSparseBlockOuter(KernelsUnderTest kernels, Data data) {
    BlockProblem p = data.blocks(SIZES, Numbers.GAUSSIAN);
    try (Tensors t = new Tensors(kernels, p)) {
      check("out", Oracle.outer(p, 1), SparseBlockOuter.apply(t.W, t.h, t.gradOut, t.plan, 1));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void testInferredShapes(KernelsUnderTest kernels, Data data) {
    BlockProblem p = gemvData(data);
    try (Tensors t = new Tensors(kernels, p);
        FloatTensor o = t.takeBias(p);
        FloatTensor dot = SparseBlockDot.apply(t.W, t.h, t.plan, Epilogue.none().withBias(t.b));
        FloatTensor gemv = SparseBlockGemv.apply(o, t.W, t.h, t.plan);
        FloatTensor outer = SparseBlockOuter.apply(t.W, t.h, t.gradOut, t.plan, 1)) {
      assertEquals(Shape.of(2, 3, 5), dot.shape(), "test_dot_infershape");
      assertEquals(Shape.of(2, 3, 5), gemv.shape(), "test_gemv_infershape");
      assertEquals(Shape.of(8, 7, 6, 5), outer.shape(), "test_outer_infershape");
    }
  }

  /** h may have rank 2, which the documentation of sparse_block_dot allows. */
  @Test
  void matrixAsBatchOfOne(Data data) {
    BlockProblem p = data.blocks(new Sizes(1, 8, 7, 6, 5, 4, 3), Numbers.GAUSSIAN);
    try (FloatTensor W = FloatTensor.of(p.W(), p.sizes().W());
        FloatTensor h = FloatTensor.of(p.h(), 4, 6);
        FloatTensor b = FloatTensor.of(p.b(), p.sizes().b());
        IntTensor inputIdx = IntTensor.of(p.inputIdx(), 4);
        IntTensor outputIdx = IntTensor.of(p.outputIdx(), 3)) {
      check("out", Oracle.dot(p), SparseBlockDot.apply(W, h, inputIdx, b, outputIdx));
    }
  }

  /** test_h_softmax: the two forms agree, and each is right. */
  @ParameterizedTest
  @MethodSource("kernels")
  void testHSoftmax(KernelsUnderTest kernels, Data data) {
    int[] classOf = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};
    SoftmaxProblem p = data.softmax(2, 4, 3, 1, classOf);
    Arrays.fill(p.b1(), 0);
    Arrays.fill(p.b2(), 0);
    SoftmaxOracle oracle = new SoftmaxOracle(p, true);
    try (FloatTensor x = FloatTensor.of(p.x(), 2, 4);
        FloatTensor W1 = FloatTensor.of(p.W1(), 4, 5);
        FloatTensor b1 = FloatTensor.of(p.b1(), 5);
        FloatTensor W2 = FloatTensor.of(p.W2(), 5, 4, 3);
        FloatTensor b2 = FloatTensor.of(p.b2(), 5, 3);
        IntTensor target = IntTensor.of(p.targets(), 2);
        FloatTensor all =
            TheanoSoftmax.apply(x, 2, 15, 5, 3, W1, b1, W2, b2, null, kernels.workers());
        FloatTensor ofTargets =
            TheanoSoftmax.apply(x, 2, 15, 5, 3, W1, b1, W2, b2, target, kernels.workers())) {
      assertEquals(Shape.of(2, 15), all.shape());
      assertEquals(Shape.of(2), ofTargets.shape());
      oracle.probabilities().assertHolds("all outputs", all);
      oracle.targetProbabilities().assertHolds("targets", ofTargets);
      for (int row = 0; row < 2; row++) {
        assertEquals(all.get(row, p.targets()[row]), ofTargets.get(row), 1e-6f, "row " + row);
      }
    }
  }
}
