// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Probabilities near 1 and near 0, for both layers on all kernels. As x is 0, logits are biases,
 * and all error is the layer's own.
 */
@ExtendWith(Seeded.class)
final class NearCertaintyTest {
  private static final int CLASSES = 3;
  private static final int SLOTS = 19;
  private static final int OUTPUTS = CLASSES * SLOTS;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.all().stream();
  }

  private static HierarchicalSoftmax softmax(KernelsUnderTest kernels, float[] b1, float[] b2) {
    int classes = b1.length;
    int slots = b2.length / classes;
    return HierarchicalSoftmax.builder(1, b2.length)
        .classes(classes)
        .workers(kernels.workers())
        .build(
            FloatTensor.zeros(1, classes),
            FloatTensor.of(b1, classes),
            FloatTensor.zeros(classes, 1, slots),
            FloatTensor.of(b2, classes, slots));
  }

  private static LabelTree tree(KernelsUnderTest kernels, float[] b1, float[] b2) {
    int classes = b1.length;
    int slots = b2.length / classes;
    return LabelTree.builder(1, b2.length)
        .classes(classes)
        .workers(kernels.workers())
        .build(
            FloatTensor.zeros(1, classes),
            FloatTensor.of(b1, classes),
            FloatTensor.zeros(classes, 1, slots),
            FloatTensor.of(b2, classes, slots));
  }

  private static void assertWithinUlps(int ulps, double expected, double actual, String name) {
    double allowed = ulps * Math.ulp((float) expected) + OUTPUTS * (Float.MIN_VALUE / 2.0);
    assertEquals(expected, actual, allowed, name);
  }

  /** The bound is 4 ulp at each level, and the rounding of their sum. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void softmaxIsRightToFewUlpOfItself(KernelsUnderTest kernels) {
    for (int distance = 1; distance <= 100; distance += 3) {
      for (int output : new int[] {0, 7, 18, 20, 35, 56}) {
        int c = output / SLOTS;
        float[] b1 = new float[CLASSES];
        float[] b2 = new float[OUTPUTS];
        b1[c] = distance;
        b2[output] = distance;
        double ofClass = (CLASSES - 1) * Math.exp(-distance);
        double ofSlot = (SLOTS - 1) * Math.exp(-distance);
        double loss = Math.log1p(ofClass) + Math.log1p(ofSlot);
        try (HierarchicalSoftmax layer = softmax(kernels, b1, b2);
            FloatTensor x = FloatTensor.zeros(1, 1);
            IntTensor target = IntTensor.of(new int[] {output}, 1);
            FloatTensor all = layer.logProbabilities(x);
            FloatTensor one = layer.logProbabilitiesOf(x, target);
            SoftmaxGradients gradients = layer.gradients(x, target)) {
          String name = "distance " + distance + " of output " + output;
          assertWithinUlps(9, -loss, all.toArray()[output], name);
          assertWithinUlps(9, -loss, one.toArray()[0], name);
          assertWithinUlps(9, -loss, layer.topK(x, 1).logProbability(0, 0), name);
          assertWithinUlps(9, loss, layer.loss(x, target), name);
          double gradient = -ofClass / (1 + ofClass);
          assertWithinUlps(4, gradient, gradients.b1().toArray()[c], name);
          gradient = -ofSlot / (1 + ofSlot);
          assertWithinUlps(4, gradient, gradients.b2().toArray()[output], name);
        }
      }
    }
  }

  /** The bound is 6 ulp in a logarithm and 4 ulp in a gradient at each level. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void treeIsRightToFewUlpOfItself(KernelsUnderTest kernels) {
    for (int distance = 1; distance <= 100; distance += 3) {
      for (int output : new int[] {0, 18, 35, 56}) {
        int c = output / SLOTS;
        float[] b1 = new float[CLASSES];
        float[] b2 = new float[OUTPUTS];
        Arrays.fill(b1, -distance);
        Arrays.fill(b2, -distance);
        b1[c] = distance;
        b2[output] = distance;
        double ofOne = Math.log1p(Math.exp(-distance));
        try (LabelTree layer = tree(kernels, b1, b2);
            FloatTensor x = FloatTensor.zeros(1, 1);
            SparseRows target = SparseRows.of(List.of(new int[] {output}));
            FloatTensor all = layer.logProbabilities(x);
            SoftmaxGradients gradients = layer.gradients(x, target)) {
          String name = "distance " + distance + " of output " + output;
          assertWithinUlps(13, -2 * ofOne, all.toArray()[output], name);
          assertWithinUlps(13, (CLASSES + SLOTS) * ofOne, layer.loss(x, target), name);
          double gradient = -1 / (1 + Math.exp(distance));
          assertWithinUlps(4, gradient, gradients.b1().toArray()[c], name);
          assertWithinUlps(4, gradient, gradients.b2().toArray()[output], name);
        }
      }
    }
  }

  /** Asserts a relative error of at most 13 ulp of the logarithm, however unlikely an output is. */
  private static void assertWithinBound(double logarithm, double probability, String name) {
    double error = Math.log(probability) - logarithm;
    assertEquals(0, error, 13 * 0x1p-23 * Math.abs(logarithm) + 1e-12, name);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void unlikelyOutputsHaveProbabilities(KernelsUnderTest kernels) {
    int output = 20;
    for (float distance = 0.5f; distance < 330; distance *= 1.3f) {
      for (boolean byClass : new boolean[] {true, false}) {
        float[] b1 = new float[CLASSES];
        float[] b2 = new float[OUTPUTS];
        b1[output / SLOTS] = byClass ? -distance : 0;
        b2[output] = byClass ? 0 : -distance;
        double few = Math.exp(-distance);
        String name = "distance " + distance + (byClass ? " of the class" : " of the output");
        try (HierarchicalSoftmax softmax = softmax(kernels, b1, b2);
            LabelTree tree = tree(kernels, b1, b2);
            FloatTensor x = FloatTensor.zeros(1, 1)) {
          double unlikely = -distance - Math.log((byClass ? CLASSES : SLOTS) - 1 + few);
          double rest = -Math.log(byClass ? SLOTS : CLASSES);
          double[] parts = {byClass ? unlikely : rest, byClass ? rest : unlikely};
          assertParts(softmax.topK(x, OUTPUTS), softmax.explain(x, output), parts, name);
          unlikely = -distance - Math.log1p(few);
          rest = -Math.log(2);
          parts = new double[] {byClass ? unlikely : rest, byClass ? rest : unlikely};
          assertParts(tree.topK(x, OUTPUTS), tree.explain(x, output), parts, name);
        }
      }
    }
  }

  private static void assertParts(
      Ranking ranking, Explanation explanation, double[] logarithms, String name) {
    int[] outputs = ranking.outputs(0);
    int rank =
        IntStream.range(0, OUTPUTS)
            .filter(r -> outputs[r] == explanation.output())
            .findFirst()
            .orElseThrow();
    double both = logarithms[0] + logarithms[1];
    assertWithinBound(both, ranking.probability(0, rank), name);
    assertWithinBound(both, explanation.probability(), name);
    assertWithinBound(logarithms[0], explanation.classProbability(), name);
    assertWithinBound(logarithms[1], explanation.probabilityInClass(), name);
  }

  /** The number of outputs in the mass depends on the difference of the first probability to 1. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void rankingsOfNearlyEverything(KernelsUnderTest kernels) {
    double mass = 1 - 1e-9;
    for (int distance = 1; distance <= 60; distance++) {
      int wanted = 1 / (1 + Math.exp(-distance)) >= mass ? 1 : 2;
      try (FloatTensor x = FloatTensor.zeros(1, 1);
          HierarchicalSoftmax bySlot = softmax(kernels, new float[1], new float[] {0, distance});
          HierarchicalSoftmax byClass = softmax(kernels, new float[] {0, distance}, new float[2]);
          LabelTree tree =
              tree(kernels, new float[] {distance, -distance}, new float[] {200, 200})) {
        assertEquals(wanted, bySlot.topP(x, mass).size(0), "slots, distance " + distance);
        assertEquals(wanted, byClass.topP(x, mass).size(0), "classes, distance " + distance);
        int likely = 2 - wanted;
        assertEquals(likely, bySlot.atLeast(x, mass).size(0), "slots, distance " + distance);
        assertEquals(likely, byClass.atLeast(x, mass).size(0), "classes, distance " + distance);
        assertEquals(likely, tree.atLeast(x, mass).size(0), "label tree, distance " + distance);
      }
    }
  }

  /** The probabilities of requested outputs equal those of all outputs, however small they are. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void probabilitiesOfSomeAreThoseOfAll(KernelsUnderTest kernels, Data data) {
    int[] outputs = IntStream.range(0, OUTPUTS).toArray();
    for (float range : new float[] {0, 5, 40}) {
      float[] b1 = new float[CLASSES];
      float[] b2 = new float[OUTPUTS];
      for (int i = 0; i < OUTPUTS; i++) {
        b2[i] = range * data.between(-1, 1);
        b1[i % CLASSES] = range * data.between(-1, 1);
      }
      try (HierarchicalSoftmax softmax = softmax(kernels, b1, b2);
          LabelTree tree = tree(kernels, b1, b2);
          FloatTensor x = FloatTensor.zeros(1, 1);
          IntTensor all = IntTensor.of(outputs, 1, OUTPUTS);
          SparseRows rows = SparseRows.of(List.of(outputs))) {
        float[] wanted = softmax.probabilities(x).toArray();
        assertArrayEquals(wanted, softmax.probabilitiesOf(x, all).toArray(), 0);
        if (range == 0) {
          assertWithinUlps(8, 1.0 / OUTPUTS, wanted[OUTPUTS - 1], "equally likely");
        }
        wanted = tree.probabilities(x).toArray();
        assertArrayEquals(wanted, tree.probabilitiesOf(x, all).toArray(), 0);
        assertArrayEquals(wanted, tree.probabilitiesOf(x, rows).toArray(), 0);
        for (int output : outputs) {
          double ofClass = 1 / (1 + Math.exp(-b1[output / SLOTS]));
          double ofSlot = 1 / (1 + Math.exp(-b2[output]));
          assertWithinUlps(9, ofClass * ofSlot, wanted[output], "label tree, output " + output);
          Explanation explanation = tree.explain(x, output);
          assertWithinUlps(4, ofClass, explanation.classProbability(), "class of " + output);
          assertWithinUlps(4, ofSlot, explanation.probabilityInClass(), "slot of " + output);
        }
      }
    }
  }
}
