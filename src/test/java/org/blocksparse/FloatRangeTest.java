// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Promises for any finite numbers, at the ends of the range of floats. */
final class FloatRangeTest {
  private static final int FEATURES = 5;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(FEATURES, 12).stream();
  }

  static Stream<KernelsUnderTest> instructionSets() {
    return KernelsUnderTest.instructionSets().stream();
  }

  private static double length(float[] a, float[] b) {
    double squares = 0;
    for (int i = 0; i < a.length; i++) {
      squares += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
    }
    return Math.sqrt(squares);
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void outerProducts_beyondTheFloats_timesAlphaWithin(KernelsUnderTest kernels) {
    for (float alpha : new float[] {0, 0.1f, -0.25f}) {
      try (FloatTensor x = FloatTensor.of(new float[] {-3e38f, 1}, 1, 1, 2);
          FloatTensor y = FloatTensor.of(new float[] {2, 0.5f, -1}, 1, 1, 3);
          FloatTensor o = FloatTensor.of(new float[] {1, 1, 1, 1, 1, 1}, 1, 1, 2, 3);
          IntTensor index = IntTensor.of(new int[] {0}, 1, 1);
          BlockPlan plan = BlockPlan.of(index, index, 1, 1).withWorkers(kernels.workers());
          FloatTensor sum = SparseBlockOuter.apply(o, x, y, plan, alpha)) {
        float[] actual = sum.toArray();
        for (int i = 0; i < 6; i++) {
          double exact = 1 + alpha * (double) x.toArray()[i / 3] * y.toArray()[i % 3];
          assertEquals(exact, actual[i], 2 * Math.ulp((float) exact), "alpha " + alpha);
        }
      }
    }
  }

  /**
   * Checks factors where alpha times the incoming gradient overflows, or loses most of its bits.
   */
  @ParameterizedTest
  @MethodSource("kernels")
  void gradientsOfInputs_timesAlphaAreFloats_whereTheyAre(KernelsUnderTest kernels) {
    float[][] cases = { // alpha, gradOut, W
      {1e30f, 1e10f, 1e-30f}, {1e30f, 1e10f, 0}, {1e-30f, 1e-15f, 1e30f}, {1e-40f, 3, 1e38f}
    };
    for (float[] numbers : cases) {
      float alpha = numbers[0];
      float w = numbers[2];
      float infinity = Float.NEGATIVE_INFINITY;
      try (FloatTensor gradOut = FloatTensor.of(new float[] {numbers[1]}, 1, 1, 1);
          FloatTensor W = FloatTensor.of(new float[] {w, -w, w}, 1, 1, 3, 1);
          FloatTensor gradH = FloatTensor.of(new float[] {0, 0.5f, infinity}, 1, 1, 3);
          IntTensor index = IntTensor.of(new int[] {0}, 1, 1);
          BlockPlan plan = BlockPlan.of(index, index, 1, 1).withWorkers(kernels.workers())) {
        SparseBlockDot.gradH(W, gradOut, plan, GradientOptions.add(alpha), gradH);
        double exact = alpha * ((double) numbers[1] * w);
        double[] expected = {exact, 0.5 - exact};
        for (int i = 0; i < expected.length; i++) {
          double bound = 2 * Math.ulp((float) expected[i]);
          assertEquals(expected[i], gradH.get(0, 0, i), bound, "alpha " + alpha);
        }
        assertEquals(infinity, gradH.get(0, 0, 2), "what is there already");
      }
    }
  }

  /** Checks both the sum and its product with a gradient. */
  @ParameterizedTest
  @MethodSource("instructionSets")
  void bags_beyondTheFloats_timesAFactorWithin(KernelsUnderTest kernels) {
    float huge = 3e38f;
    for (EmbeddingBag.Mode mode :
        new EmbeddingBag.Mode[] {EmbeddingBag.Mode.MEAN, EmbeddingBag.Mode.ROOT_MEAN}) {
      double factor = mode == EmbeddingBag.Mode.MEAN ? 0.25 : 0.5;
      try (SparseRows rows =
              SparseRows.of(List.of(new int[] {0, 1, 0, 1}, new int[] {2, 2, 2, 2}));
          FloatTensor table =
              FloatTensor.of(
                  new float[] {
                    huge / 2, -huge, 1, huge / 3, -huge, 2, huge, 3, Float.NEGATIVE_INFINITY
                  },
                  3,
                  3);
          FloatTensor gradOut = FloatTensor.of(new float[] {1.5f, -1, 0, 1.5f, 0, 1}, 2, 3);
          EmbeddingBag bag =
              EmbeddingBag.builder(3, 3).mode(mode).workers(kernels.workers()).build(table);
          FloatTensor sums = bag.apply(rows);
          FloatTensor gradValues = bag.gradValues(rows, gradOut)) {
        double first = factor * 2 * ((double) (huge / 2) + huge / 3);
        double second = factor * -4 * (double) huge;
        float infinity = Float.POSITIVE_INFINITY;
        float[] expected = {
          (float) first,
          (float) second,
          (float) (factor * 6),
          (float) (factor * 4 * huge),
          (float) (factor * 12),
          -infinity
        };
        float[] actual = sums.toArray();
        for (int i = 0; i < 6; i++) {
          float size = Math.min(Math.abs(expected[i]), Float.MAX_VALUE);
          assertEquals(expected[i], actual[i], 2 * Math.ulp(size), mode + " sum " + i);
        }
        double dot0 = factor * (1.5 * (huge / 2) + huge);
        double dot1 = factor * (1.5 * (huge / 3) + huge);
        assertEquals(dot0, gradValues.get(0), 2 * Math.ulp((float) dot0), mode + "");
        assertEquals(dot1, gradValues.get(1), 2 * Math.ulp((float) dot1), mode + "");
        assertEquals(-infinity, gradValues.get(4), mode + ": an infinity stays");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void logits_asLargeAsFloatsAre_haveFiniteLogProbabilities(KernelsUnderTest kernels) {
    for (float size : new float[] {1.7e38f, Float.MAX_VALUE}) {
      try (FloatTensor W1 = FloatTensor.zeros(1, 2);
          FloatTensor b1 = FloatTensor.of(new float[] {size, -size}, 2);
          FloatTensor W2 = FloatTensor.zeros(2, 1, 2);
          FloatTensor b2 = FloatTensor.of(new float[] {size, -size, -size, size}, 2, 2);
          HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(1, 4)
                  .classes(2)
                  .workers(kernels.workers())
                  .build(W1, b1, W2, b2);
          FloatTensor x = FloatTensor.zeros(1, 1);
          IntTensor outputs = IntTensor.of(new int[] {0, 1, 2, 3}, 1, 4);
          FloatTensor all = layer.logProbabilities(x);
          FloatTensor chosen = layer.logProbabilitiesOf(x, outputs)) {
        float least = (float) Math.max(-2.0 * size, -Float.MAX_VALUE);
        float[] expected = {0, least, -Float.MAX_VALUE, least};
        assertArrayEquals(expected, all.toArray(), "size " + size);
        assertArrayEquals(expected, chosen.toArray(), "chosen, size " + size);
      }
    }
  }

  /** The share of smoothing costs half of the distance of its logits to the largest. */
  @ParameterizedTest
  @MethodSource("kernels")
  void logits_asFarApartAsFloatsAre_haveAFiniteSmoothedLoss(KernelsUnderTest kernels) {
    for (float size : new float[] {1.7e38f, 2e38f, Float.MAX_VALUE}) {
      try (FloatTensor W1 = FloatTensor.zeros(1, 1);
          FloatTensor b1 = FloatTensor.zeros(1);
          FloatTensor W2 = FloatTensor.zeros(1, 1, 2);
          FloatTensor b2 = FloatTensor.of(new float[] {size, -size}, 1, 2);
          HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(1, 2)
                  .classes(1)
                  .workers(kernels.workers())
                  .build(W1, b1, W2, b2);
          FloatTensor x = FloatTensor.zeros(1, 1);
          IntTensor target = IntTensor.of(new int[] {0}, 1)) {
        double loss = layer.loss(x, target, Loss.mean().withSmoothing(0.25f));
        double exact = 0.25 * size;
        assertEquals(exact, loss, 4 * Math.ulp((float) exact), "size " + size);
        try (SoftmaxGradients gradients =
            layer.gradients(x, target, Loss.mean().withSmoothing(0.25f))) {
          assertArrayEquals(new float[] {0.125f, -0.125f}, gradients.b2().toArray(), 1e-6f);
        }
      }
    }
  }

  /** The sum of the losses of both levels may overflow. */
  @ParameterizedTest
  @MethodSource("kernels")
  void logits_asLargeAsFloatsAre_haveFiniteLosses(KernelsUnderTest kernels) {
    for (float size : new float[] {1.7e38f, Float.MAX_VALUE}) {
      float[] b1 = {size, -size};
      float[] b2 = {size, -size, -size, size};
      try (HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(1, 4)
                  .classes(2)
                  .workers(kernels.workers())
                  .build(
                      FloatTensor.zeros(1, 2),
                      FloatTensor.of(b1, 2),
                      FloatTensor.zeros(2, 1, 2),
                      FloatTensor.of(b2, 2, 2));
          LabelTree tree =
              LabelTree.builder(1, 4)
                  .classes(2)
                  .workers(kernels.workers())
                  .build(
                      FloatTensor.zeros(1, 2),
                      FloatTensor.of(b1, 2),
                      FloatTensor.zeros(2, 1, 2),
                      FloatTensor.of(b2, 2, 2));
          FloatTensor x = FloatTensor.zeros(3, 1);
          IntTensor targets = IntTensor.of(new int[] {0, 1, 2}, 3);
          SparseRows rows = SparseRows.of(List.of(new int[] {0}, new int[] {1}, new int[] {2}));
          FloatTensor ofLayer = layer.losses(x, targets);
          FloatTensor ofTree = tree.losses(x, rows);
          FloatTensor logarithms = tree.logProbabilities(x)) {
        float far = (float) Math.min(2.0 * size, Float.MAX_VALUE);
        float[] expected = {0, far, Float.MAX_VALUE};
        float[] expectedLogarithms = {0, -size, -far, -size};
        assertArrayEquals(expected, ofLayer.toArray(), Math.ulp(far), "softmax, size " + size);
        assertArrayEquals(expected, ofTree.toArray(), Math.ulp(far), "tree, size " + size);
        for (int output = 0; output < 4; output++) {
          assertEquals(
              expectedLogarithms[output],
              logarithms.get(0, output),
              Math.ulp(far),
              "tree, output " + output);
        }
        assertTrue(Double.isFinite(layer.loss(x, targets)) && Double.isFinite(tree.loss(x, rows)));
      }
    }
  }

  private static HierarchicalSoftmax small(KernelsUnderTest kernels) {
    return HierarchicalSoftmax.builder(FEATURES, 12)
        .classes(4)
        .workers(kernels.workers())
        .seed(3)
        .build();
  }

  @Tag("xcheck")
  @ParameterizedTest
  @MethodSource("kernels")
  void gradients_whoseSquaresAreNoFloats_areClipped(KernelsUnderTest kernels) {
    for (float size : new float[] {1e20f, 1e30f}) {
      try (HierarchicalSoftmax layer = small(kernels);
          FloatTensor x =
              FloatTensor.of(new float[] {size, -size, size, size, -size}, 1, FEATURES)) {
        float[] before = layer.W1().toArray();
        int unlikely = 0;
        try (FloatTensor probabilities = layer.probabilities(x)) {
          float[] p = probabilities.toArray();
          for (int i = 1; i < p.length; i++) {
            unlikely = p[i] < p[unlikely] ? i : unlikely;
          }
        }
        try (IntTensor target = IntTensor.of(new int[] {unlikely}, 1)) {
          layer.step(x, target, Optimizer.sgd(1).withMaxNorm(1));
        }
        assertEquals(1, length(before, layer.W1().toArray()), 1e-4, "size " + size);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aGradientLongerThanAllFloats_isClippedAsIfItWereTheLargest(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = small(kernels);
        FloatTensor x = FloatTensor.zeros(1, FEATURES);
        IntTensor target = IntTensor.of(new int[] {7}, 1)) {
      layer.W1().fill(0); // so that the four classes are equally likely
      layer.W2().fill(0);
      float[] before = layer.W1().toArray();
      x.fill(3e38f);
      layer.step(x, target, Optimizer.sgd(1).withMaxNorm(1));
      double length = 3e38 * Math.sqrt(FEATURES * (0.75 * 0.75 + 3 * 0.25 * 0.25));
      double moved = length(before, layer.W1().toArray());
      assertEquals(length / Float.MAX_VALUE, moved, 1e-4);
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void adam_withATinyEpsilon_leavesWhatHasNoGradient(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = small(kernels);
        FloatTensor x = FloatTensor.zeros(1, FEATURES);
        IntTensor target = IntTensor.of(new int[] {7}, 1)) {
      float[] W1 = layer.W1().toArray();
      float[] W2 = layer.W2().toArray();
      for (int step = 0; step < 3; step++) {
        layer.step(x, target, Optimizer.adam(0.1f, 0.9f, 0.999f, 9.8e-45f));
      }
      assertArrayEquals(W1, layer.W1().toArray());
      assertArrayEquals(W2, layer.W2().toArray());
      assertTrue(Float.isFinite(layer.b1().toArray()[0]));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void adam_ofGradientsWhoseSquaresAreLost_makesNoLeap(KernelsUnderTest kernels) {
    Optimizer adam = Optimizer.adam(0.1f, 0.9f, 0.999f, 1e-30f);
    double most = 1.1 * 0.1 / Math.sqrt(1 - 0.999);
    for (float size : new float[] {1e-24f, 1e-22f, 1e-21f, 1e-20f}) {
      try (HierarchicalSoftmax layer = small(kernels);
          FloatTensor x = FloatTensor.zeros(1, FEATURES);
          IntTensor target = IntTensor.of(new int[] {7}, 1)) {
        x.fill(size);
        for (int step = 1; step <= 30; step++) {
          float[] before = layer.W1().toArray();
          layer.step(x, target, adam);
          float[] after = layer.W1().toArray();
          for (int i = 0; i < before.length; i++) {
            assertEquals(before[i], after[i], most, size + ", step " + step + ", element " + i);
          }
          if (step == 20) {
            x.fill(0);
          }
        }
      }
    }
  }

  /** The mean is bounded like the mean square: otherwise it would outlast it. */
  @ParameterizedTest
  @MethodSource("kernels")
  void adam_afterAGradientWhoseSquareIsNoFloat_makesNoLeap(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = small(kernels);
        FloatTensor huge = FloatTensor.of(new float[] {1e30f, -1e30f, 0, 1e25f, 1}, 1, FEATURES);
        FloatTensor none = FloatTensor.zeros(1, FEATURES);
        IntTensor target = IntTensor.of(new int[] {7}, 1)) {
      Optimizer adam = Optimizer.adam(0.01f);
      layer.step(huge, target, adam);
      for (int step = 2; step < 20; step++) {
        float[] before = layer.W1().toArray();
        layer.step(none, target, adam);
        float[] after = layer.W1().toArray();
        for (int i = 0; i < before.length; i++) {
          assertEquals(before[i], after[i], 0.04f, "step " + step + ", element " + i);
        }
      }
    }
  }

  /** Biases of minus infinity give a class and an output no probability. */
  @ParameterizedTest
  @MethodSource("instructionSets")
  void infiniteBiases_stayWhatTheyAre(KernelsUnderTest kernels) {
    List<Optimizer> rules =
        List.of(Optimizer.sgd(0.5f), Optimizer.adagrad(0.5f), Optimizer.adam(0.5f));
    for (Optimizer rule : rules) {
      for (Optimizer optimizer : List.of(rule, rule.withDecay(0.1f), rule.withMaxNorm(0.1f))) {
        try (HierarchicalSoftmax layer =
                HierarchicalSoftmax.builder(FEATURES, 6)
                    .classes(2)
                    .workers(kernels.workers())
                    .build();
            FloatTensor x =
                FloatTensor.of(new float[] {1, 2, 3, 4, 5, 5, 4, 3, 2, 1}, 2, FEATURES);
            IntTensor targets = IntTensor.of(new int[] {0, 1}, 2)) {
          layer.b1().set(Float.NEGATIVE_INFINITY, 1);
          layer.b2().set(Float.NEGATIVE_INFINITY, 0, 2);
          float before = layer.b2().get(0, 0);
          layer.step(x, targets, optimizer);
          assertEquals(Float.NEGATIVE_INFINITY, layer.b1().get(1), optimizer::toString);
          assertEquals(Float.NEGATIVE_INFINITY, layer.b2().get(0, 2), optimizer::toString);
          assertTrue(layer.b2().get(0, 0) != before, optimizer::toString);
          try (FloatTensor p = layer.probabilities(x)) {
            for (int output = 0; output < 6; output++) {
              float of = p.get(0, output);
              assertTrue(output < 2 ? of > 0 && of < 1 : of == 0, optimizer + ": " + of);
            }
          }
        }
      }
    }
  }
}
