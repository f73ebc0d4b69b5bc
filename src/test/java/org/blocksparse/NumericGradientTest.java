// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.DoubleSupplier;
import java.util.stream.Stream;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LabelTreeOracle;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Gradients against central differences of the loss alone, in float64: right even if oracle and
 * library shared a wrong formula. The step is a power of two that can be added to the data without
 * rounding.
 */
@ExtendWith(Seeded.class)
final class NumericGradientTest {
  private static final float STEP = 0x1p-12f;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(5, 5).stream();
  }

  /**
   * @param loss is computed from {@code parameter} anew each time
   */
  private static void check(
      String name, DoubleSupplier loss, float[] parameter, FloatTensor gradient) {
    float[] actual = gradient.toArray();
    assertEquals(parameter.length, actual.length, name);
    for (int i = 0; i < parameter.length; i++) {
      float before = parameter[i];
      parameter[i] = before + STEP;
      double above = loss.getAsDouble();
      parameter[i] = before - STEP;
      double below = loss.getAsDouble();
      parameter[i] = before;
      assertEquals((above - below) / (2 * STEP), actual[i], 2e-6, name + " at " + i);
    }
    gradient.close();
  }

  @Test
  void gradientsOfALayerAreClosedTogether() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 6).classes(2).build();
        FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2);
        IntTensor targets = IntTensor.of(new int[] {4}, 1)) {
      layer.gradients(x, targets).close(); // calls keep their buffers from now on
      long before = FloatTensor.allocatedBytes();
      layer.gradients(x, targets).close();
      assertTrue(FloatTensor.allocatedBytes() <= before, "a gradient was kept");
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void sparseBlockDot(KernelsUnderTest kernels, Data data) {
    Sizes sizes = new Sizes(3, 3, 2, 4, 5, 3, 2);
    BlockProblem p =
        new BlockProblem(
            sizes,
            data.coarseFloats(120),
            data.coarseFloats(36),
            data.coarseFloats(10),
            new float[30],
            data.coarseFloats(30),
            data.indices(9, 3),
            data.indices(6, 2));
    DoubleSupplier loss = () -> Oracle.lossOfDot(p);
    try (FloatTensor W = FloatTensor.of(p.W(), sizes.W());
        FloatTensor h = FloatTensor.of(p.h(), sizes.h());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), sizes.o());
        IntTensor inputIdx = IntTensor.of(p.inputIdx(), sizes.inputIdx());
        IntTensor outputIdx = IntTensor.of(p.outputIdx(), sizes.outputIdx());
        BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 3, 2).withWorkers(kernels.workers())) {
      check("W", loss, p.W(), SparseBlockDot.gradW(h, gradOut, plan));
      check("h", loss, p.h(), SparseBlockDot.gradH(W, gradOut, plan));
      check("b", loss, p.b(), SparseBlockDot.gradB(gradOut, plan));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void hierarchicalSoftmax(KernelsUnderTest kernels, Data data) {
    int[] classOf = {0, 1, 1, 2, 0, 2, 2};
    SoftmaxProblem p = coarse(data, classOf);
    for (SoftmaxOracle.Loss options :
        new SoftmaxOracle.Loss[] {
          SoftmaxOracle.Loss.ofMean(),
          new SoftmaxOracle.Loss(false, null, 0.25, null),
          new SoftmaxOracle.Loss(true, p.targets()[1], 0, new float[] {1, 2, 0.5f, -1, 3})
        }) {
      DoubleSupplier loss = () -> new SoftmaxOracle(p, false).loss(options);
      try (FloatTensor x = FloatTensor.of(p.x(), 5, 4);
          IntTensor targets = IntTensor.of(p.targets(), 5);
          HierarchicalSoftmax layer =
              p.layer(HierarchicalSoftmax.builder(4, 7).workers(kernels.workers()))) {
        SoftmaxGradients gradients = layer.gradients(x, targets, loss(options));
        assertEquals(loss.getAsDouble(), gradients.loss(), 1e-5, "loss");
        check("x", loss, p.x(), gradients.x());
        check("W1", loss, p.W1(), gradients.W1());
        check("b1", loss, p.b1(), gradients.b1());
        check("W2", loss, p.W2(), gradients.W2());
        check("b2", loss, p.b2(), gradients.b2());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void labelTree(KernelsUnderTest kernels, Data data) {
    int[] classOf = {0, 0, 1, 1, 1, 2, 2};
    SoftmaxProblem p = coarse(data, classOf);
    int[][] targets = {{0, 5}, {}, {2, 4, 2}, {6}, {1, 0, 3, 5}};
    for (LabelTreeOracle.Loss options :
        new LabelTreeOracle.Loss[] {
          new LabelTreeOracle.Loss(true, null),
          new LabelTreeOracle.Loss(false, new float[] {1, 0.25f, 0, -1, 0.5f})
        }) {
      DoubleSupplier loss = () -> new LabelTreeOracle(p, targets).loss(options);
      Loss asked = options.mean() ? Loss.mean() : Loss.sum();
      try (FloatTensor x = FloatTensor.of(p.x(), 5, 4);
          SparseRows rows = SparseRows.of(List.of(targets));
          LabelTree layer = p.layer(LabelTree.builder(4, 7).workers(kernels.workers()))) {
        SoftmaxGradients gradients =
            layer.gradients(
                x,
                rows,
                options.weights() == null
                    ? asked
                    : asked.withRowWeights(FloatTensor.of(options.weights(), 5)));
        assertEquals(loss.getAsDouble(), gradients.loss(), 1e-5, "loss");
        check("x", loss, p.x(), gradients.x());
        check("W1", loss, p.W1(), gradients.W1());
        check("b1", loss, p.b1(), gradients.b1());
        check("W2", loss, p.W2(), gradients.W2());
        check("b2", loss, p.b2(), gradients.b2());
      }
    }
  }

  /**
   * Returns a problem of 5 rows, 4 features, 3 classes of up to 3 slots; adding the step to its
   * numbers does not round.
   */
  private static SoftmaxProblem coarse(Data data, int... classOf) {
    return new SoftmaxProblem(
        5,
        4,
        3,
        3,
        classOf,
        data.coarseFloats(20),
        data.coarseFloats(12),
        data.coarseFloats(3),
        data.coarseFloats(36),
        data.coarseFloats(9),
        data.indices(5, 7));
  }

  private static Loss loss(SoftmaxOracle.Loss options) {
    Loss loss =
        (options.mean() ? Loss.mean() : Loss.sum()).withSmoothing((float) options.smoothing());
    if (options.ignored() != null) {
      loss = loss.withIgnored(options.ignored());
    }
    return options.weights() == null
        ? loss
        : loss.withRowWeights(FloatTensor.of(options.weights(), options.weights().length));
  }
}
