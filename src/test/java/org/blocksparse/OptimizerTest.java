// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Clipping, and optimizer state; the rules themselves are tested with the layer. */
final class OptimizerTest {
  private static final int FEATURES = 5;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  private static HierarchicalSoftmax layer(Workers workers) {
    return HierarchicalSoftmax.builder(FEATURES, 12).classes(4).workers(workers).seed(3).build();
  }

  private static double distance(float[] a, float[] b, int begin, int end) {
    double squares = 0;
    for (int i = begin; i < end; i++) {
      squares += (a[i] - b[i]) * (double) (a[i] - b[i]);
    }
    return Math.sqrt(squares);
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void maxNorm_limitsTheStepOfEachBlock(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = FloatTensor.of(new float[] {9, -8, 7, -6, 5}, 1, FEATURES);
        IntTensor target = IntTensor.of(new int[] {7}, 1)) {
      float[] W1 = layer.W1().toArray();
      float[] W2 = layer.W2().toArray();
      layer.step(x, target, Optimizer.sgd(1).withMaxNorm(0.125f));
      // The gradient is much longer than allowed, so the step is exactly as long as allowed.
      assertEquals(0.125, distance(W1, layer.W1().toArray(), 0, W1.length), 1e-5);
      int block = FEATURES * layer.assignment().slots();
      int begin = layer.assignment().classOf(7) * block;
      float[] after = layer.W2().toArray();
      assertEquals(0.125, distance(W2, after, begin, begin + block), 1e-5);
      assertEquals(0, distance(W2, after, 0, begin));
      assertEquals(0, distance(W2, after, begin + block, W2.length));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void maxNorm_thatIsNotReached_changesNothing(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax clipped = layer(kernels.workers());
        HierarchicalSoftmax free = layer(kernels.workers());
        FloatTensor x = FloatTensor.of(new float[] {9, -8, 7, -6, 5}, 1, FEATURES);
        IntTensor target = IntTensor.of(new int[] {7}, 1)) {
      clipped.step(x, target, Optimizer.adagrad(0.1f).withMaxNorm(1e6f));
      free.step(x, target, Optimizer.adagrad(0.1f));
      assertEquals(0, distance(clipped.W2().toArray(), free.W2().toArray(), 0, 4 * FEATURES * 3));
    }
  }

  @Test
  void adagrad_slowsDown_andForgetsWhenTheRuleChanges() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.of(new float[] {1, 1, 1, 1, 1}, 1, FEATURES);
        IntTensor target = IntTensor.of(new int[] {7}, 1)) {
      // A first step of Adagrad moves every weight by the rate, whatever its gradient is.
      assertEquals(0.1, largestMove(layer, x, target, Optimizer.adagrad(0.1f)), 1e-4);
      assertTrue(largestMove(layer, x, target, Optimizer.adagrad(0.1f)) < 0.09);
      layer.step(x, target, Optimizer.sgd(1e-3f));
      assertEquals(0.1, largestMove(layer, x, target, Optimizer.adagrad(0.1f)), 1e-4);
    }
  }

  private static double largestMove(
      HierarchicalSoftmax layer, FloatTensor x, IntTensor target, Optimizer optimizer) {
    float[] before = layer.W1().toArray();
    layer.step(x, target, optimizer);
    float[] after = layer.W1().toArray();
    double largest = 0;
    for (int i = 0; i < before.length; i++) {
      largest = Math.max(largest, Math.abs(after[i] - before[i]));
    }
    return largest;
  }
}
