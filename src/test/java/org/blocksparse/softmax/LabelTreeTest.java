// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LayerParameters;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Label trees: worked examples, and behavior apart from results. */
final class LabelTreeTest {
  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.all().stream();
  }

  private static void assertNear(double[] expected, float[] actual, String name) {
    assertEquals(expected.length, actual.length, name);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], 1e-6, name + " at " + i);
    }
  }

  /** Returns a layer with two outputs in one class, whose logits are their biases. */
  private static LabelTree ofOneClass(
      KernelsUnderTest kernels, float bias, float bias0, float bias1) {
    return LabelTree.builder(1, 2)
        .classes(1)
        .workers(kernels.workers())
        .build(
            FloatTensor.zeros(1, 1),
            FloatTensor.of(new float[] {bias}, 1),
            FloatTensor.zeros(1, 1, 2),
            FloatTensor.of(new float[] {bias0, bias1}, 1, 2));
  }

  /** Ties are ordered by bits, which differ between 0 and -0. */
  @ParameterizedTest
  @MethodSource("kernels")
  void whatIsAllButCertainHasLogarithmZero(KernelsUnderTest kernels) {
    try (LabelTree layer = ofOneClass(kernels, 104, 104, 1e4f);
        FloatTensor x = FloatTensor.zeros(1, 1);
        FloatTensor logarithms = layer.logProbabilities(x)) {
      Ranking ranking = layer.topK(x, 2);
      for (int output = 0; output < 2; output++) {
        assertEquals(0f, logarithms.get(0, output));
        assertEquals(output, ranking.output(0, output));
        assertEquals(0f, ranking.logProbability(0, output));
      }
    }
  }

  /**
   * Worked by hand. One feature, x = 1, two classes of two outputs; with L = log 3, the sigmoids of
   * L, 0 and -L are 3/4, 1/2 and 1/4.
   *
   * <pre>
   * class      logit   P     outputs  logits    P within   P
   * 0            L    3/4     0, 1     0, -L    1/2, 1/4   3/8, 3/16
   * 1           -L    1/4     2, 3     L,  0    3/4, 1/2   3/16, 1/8
   * </pre>
   *
   * With target 1 alone, class 0 is there and class 1 is not: -log(3/4) - log(1 - 1/4); in class 0,
   * output 0 is not there and 1 is: -log(1/2) - log(1/4). Gradients of logits are P minus what is
   * there: -1/4 and 1/4; 1/2 and -3/4. All go to the biases; with x = 1, to the weights as well; x
   * gets their sum times the weights, of which W1 is (L, -L) and W2 zero: -L/4 - L/4 = -L/2.
   */
  @ParameterizedTest
  @MethodSource("kernels")
  void workedByHand(KernelsUnderTest kernels) {
    float log3 = (float) Math.log(3);
    try (LabelTree layer =
            LabelTree.builder(1, 4)
                .classes(2)
                .workers(kernels.workers())
                .build(
                    FloatTensor.of(new float[] {log3, -log3}, 1, 2),
                    FloatTensor.zeros(2),
                    FloatTensor.zeros(2, 1, 2),
                    FloatTensor.of(new float[] {0, -log3, log3, 0}, 2, 2));
        FloatTensor x = FloatTensor.of(new float[] {1}, 1, 1);
        SparseRows targets = SparseRows.of(List.of(new int[] {1}))) {
      double[] p = {3 / 8., 3 / 16., 3 / 16., 1 / 8.};
      assertNear(p, layer.probabilities(x).toArray(), "probabilities");
      double[] logs = Arrays.stream(p).map(Math::log).toArray();
      assertNear(logs, layer.logProbabilities(x).toArray(), "log probabilities");
      try (SparseRows some = SparseRows.of(List.of(new int[] {3, 0, 3}))) {
        assertNear(
            new double[] {1 / 8., 3 / 8., 1 / 8.},
            layer.probabilitiesOf(x, some).toArray(),
            "of some");
      }
      try (IntTensor two = IntTensor.of(new int[] {2, 1}, 1, 2)) {
        FloatTensor ofTwo = layer.probabilitiesOf(x, two);
        assertEquals(Shape.of(1, 2), ofTwo.shape());
        assertNear(new double[] {3 / 16., 3 / 16.}, ofTwo.toArray(), "of two");
      }
      Explanation explanation = layer.explain(x, 2);
      assertEquals(1, explanation.classNumber());
      assertEquals(0.25, explanation.classProbability(), 1e-6);
      assertEquals(1, explanation.classRank());
      assertEquals(0.75, explanation.probabilityInClass(), 1e-6);
      assertEquals(0, explanation.rankInClass());
      assertNull(explanation.label());

      double loss = -2 * Math.log(3 / 4.) - Math.log(1 / 2.) - Math.log(1 / 4.);
      assertEquals(loss, layer.loss(x, targets), 1e-6);
      try (SoftmaxGradients g = layer.gradients(x, targets)) {
        assertEquals(loss, g.loss(), 1e-6);
        double[] ofClasses = {-1 / 4., 1 / 4.};
        double[] ofSlots = {1 / 2., -3 / 4., 0, 0};
        assertNear(ofClasses, g.b1().toArray(), "b1");
        assertNear(ofClasses, g.W1().toArray(), "W1");
        assertNear(ofSlots, g.b2().toArray(), "b2");
        assertNear(ofSlots, g.W2().toArray(), "W2");
        assertNear(new double[] {-Math.log(3) / 2}, g.x().toArray(), "x");
      }
      try (SparseRows none = SparseRows.of(List.of(new int[0]))) {
        // Both classes are absent: -log(1/4) - log(3/4).
        assertEquals(-Math.log(3 / 16.), layer.loss(x, none), 1e-6);
        assertEquals(-Math.log(3 / 16.), layer.step(x, none, Optimizer.sgd(1)), 1e-6);
      }
      assertNear(new double[] {-3 / 4., -1 / 4.}, layer.b1().toArray(), "b1 after the step");
      assertArrayEquals(new float[] {0, -log3, log3, 0}, layer.b2().toArray(), "untouched");
    }
  }

  /** The probability is a quarter, whose logarithm is rounded down. */
  @ParameterizedTest
  @MethodSource("kernels")
  void whatIsExactlyAsLikelyAsAskedForIsFound(KernelsUnderTest kernels) {
    try (LabelTree layer = ofOneClass(kernels, 0, 0, 0);
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      assertEquals(2, layer.atLeast(x, .25).size(0));
      assertEquals(0, layer.atLeast(x, .2500001).size(0));
    }
  }

  /**
   * No output is likelier than its class, so that one class shows that the other can stay closed.
   */
  @ParameterizedTest
  @MethodSource("kernels")
  void onlyClassesThatAreNeededAreOpened(KernelsUnderTest kernels) {
    try (LabelTree layer =
            LabelTree.builder(1, 40).classes(10).workers(kernels.workers()).seed(3).build();
        FloatTensor x = FloatTensor.of(new float[] {0}, 1, 1)) {
      layer.b1().fill(-5);
      layer.b1().set(4, 7);
      layer.b2().set(2, 7, 1);
      Ranking best = layer.topK(x, 1);
      assertEquals(7 * 4 + 1, best.output(0, 0));
      assertEquals(1, best.openedClasses(0));
      Ranking likely = layer.atLeast(x, 0.4);
      assertArrayEquals(new int[] {29, 28, 30, 31}, likely.outputs(0));
      assertEquals(1, likely.openedClasses(0));
      assertEquals(10, layer.topK(x, 100).openedClasses(0));
      assertEquals(40, layer.topK(x, 100).size(0));
      Ranking others = layer.topK(x, 1, Filter.without(28, 29, 30, 31));
      assertEquals(0, others.output(0, 0));
      assertTrue(layer.topK(x, 1, Filter.only()).isFilteredOut(0));
      // Three other outputs of 0.4 could belong to the ranking, if the outputs of class 7 had at
      // most 1 together.
      layer.b1().fill(-0.4f);
      layer.b1().set(4, 7);
      layer.b2().fill(2);
      assertArrayEquals(new int[] {28, 29, 30}, layer.topK(x, 3).outputs(0));
      assertEquals(1, layer.topK(x, 3).openedClasses(0));
    }
  }

  private static LabelTree random(Workers workers) {
    return LabelTree.builder(19, 120)
        .classes(
            ClassAssignment.of(
                IntStream.range(0, 120).map(o -> o % 3 == 0 ? 0 : 1 + o % 8).toArray()))
        .workers(workers)
        .seed(2)
        .build();
  }

  private static SparseRows targets(int batch, SplittableRandom random) {
    List<int[]> rows = new ArrayList<>();
    for (int row = 0; row < batch; row++) {
      rows.add(random.ints(random.nextInt(6), 0, 120).toArray());
    }
    return SparseRows.of(rows);
  }

  private static FloatTensor x(int batch, SplittableRandom random) {
    float[] values = new float[batch * 19];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble(-1, 1);
    }
    return FloatTensor.of(values, batch, 19);
  }

  /** Returns every bit of the results of training, including gradX and predictions. */
  private static List<float[]> trained(Workers workers, Optimizer optimizer) {
    SplittableRandom random = new SplittableRandom(9);
    List<float[]> bits = new ArrayList<>();
    try (LabelTree layer = random(workers);
        FloatTensor gradX = FloatTensor.zeros(300, 19)) {
      for (int step = 0; step < 3; step++) {
        try (FloatTensor x = x(300, random);
            SparseRows targets = targets(300, random)) {
          bits.add(new float[] {(float) layer.step(x, targets, Loss.mean(), optimizer, gradX)});
          bits.add(gradX.toArray());
          bits.add(layer.probabilities(x).toArray());
        }
      }
      for (FloatTensor p : List.of(layer.W1(), layer.b1(), layer.W2(), layer.b2())) {
        bits.add(p.toArray());
      }
    }
    return bits;
  }

  @Test
  void theSameBitsForAnyWorkers() {
    ExecutorService executor = Executors.newFixedThreadPool(7);
    try {
      for (Optimizer optimizer : List.of(Optimizer.sgd(0.1f), Optimizer.adam(0.01f))) {
        List<float[]> one = trained(Workers.callingThread(), optimizer);
        for (int workers : new int[] {2, 3, 8}) {
          List<float[]> more = trained(Workers.of(executor, workers), optimizer);
          for (int i = 0; i < one.size(); i++) {
            assertArrayEquals(one.get(i), more.get(i), workers + " workers, part " + i);
          }
        }
      }
    } finally {
      executor.shutdown();
    }
  }

  /** The loss of a positive with logit infinity, and of a negative with minus infinity, is 0. */
  @ParameterizedTest
  @MethodSource("kernels")
  void anInfiniteXIsRefusedThoughItsLossIsZero(KernelsUnderTest kernels) {
    try (LabelTree tree =
            LabelTree.builder(1, 2)
                .classes(1)
                .workers(kernels.workers())
                .build(
                    FloatTensor.of(new float[] {1}, 1, 1),
                    FloatTensor.zeros(1),
                    FloatTensor.of(new float[] {1, -1}, 1, 1, 2),
                    FloatTensor.zeros(1, 2));
        FloatTensor x = FloatTensor.of(new float[] {Float.POSITIVE_INFINITY}, 1, 1);
        SparseRows targets = SparseRows.of(List.of(new int[] {0}))) {
      LayerParameters before = LayerParameters.of(tree);
      assertThrows(ArithmeticException.class, () -> tree.step(x, targets, Optimizer.sgd(0.1f)));
      before.assertSame("after an infinite x", tree);
    }
  }

  /** A batch in which no row counts changes nothing: no decay and no momentum. */
  @ParameterizedTest
  @MethodSource("kernels")
  void aStepInWhichNoRowCountsChangesNothing(KernelsUnderTest kernels) {
    SplittableRandom random = new SplittableRandom(6);
    for (Optimizer optimizer : List.of(Optimizer.sgd(0.5f).withDecay(0.1f), Optimizer.adam(0.5f))) {
      try (LabelTree layer = random(kernels.workers());
          FloatTensor x = x(3, random);
          SparseRows targets = targets(3, random);
          FloatTensor noWeights = FloatTensor.zeros(3);
          FloatTensor gradX = FloatTensor.zeros(3, 19)) {
        layer.step(x, targets, optimizer);
        LayerParameters before = LayerParameters.of(layer);
        gradX.fill(Float.NaN);
        Loss loss = Loss.mean().withRowWeights(noWeights);
        assertEquals(0, layer.step(x, targets, loss, optimizer, gradX));
        before.assertSame("after " + optimizer, layer);
        assertArrayEquals(new float[3 * 19], gradX.toArray());
        assertEquals(2, layer.steps(), "it is counted");
      }
    }
  }

  /** A step whose loss is not finite changes neither parameters nor optimizer state. */
  @ParameterizedTest
  @MethodSource("kernels")
  void aRefusedStepHasNoEffect(KernelsUnderTest kernels) {
    SplittableRandom random = new SplittableRandom(6);
    try (LabelTree expected = random(kernels.workers());
        LabelTree actual = random(kernels.workers());
        FloatTensor x = x(3, random);
        FloatTensor bad = x(3, random);
        SparseRows targets = SparseRows.of(List.of(new int[] {7, 90}, new int[] {7}, new int[0]))) {
      Optimizer adam = Optimizer.adam(0.1f);
      expected.step(x, targets, adam);
      actual.step(x, targets, adam);
      bad.set(Float.NaN, 2, 3);
      ArithmeticException refused =
          assertThrows(
              ArithmeticException.class, () -> actual.step(bad, targets, Optimizer.sgd(1)));
      assertTrue(refused.getMessage().startsWith("step 2: the loss is NaN; "), "" + refused);
      LayerParameters.of(expected).assertSame("after a NaN in x", actual);
      // The loss is not finite within an opened class, but finite at the class level.
      ClassAssignment classes = actual.assignment();
      int c = classes.classOf(7);
      float kept = actual.b2().get(c, 0);
      actual.b2().set(Float.POSITIVE_INFINITY, c, 0);
      LayerParameters before = LayerParameters.of(actual);
      try (SparseRows one = SparseRows.of(List.of(new int[] {7}, new int[] {7}, new int[0]))) {
        if (classes.output(c, 0) == 7) {
          actual.b2().set(Float.NEGATIVE_INFINITY, c, 0);
          before = LayerParameters.of(actual);
        }
        assertThrows(ArithmeticException.class, () -> actual.step(x, one, Optimizer.sgd(1)));
      }
      before.assertSame("after an infinite bias", actual);
      actual.b2().set(kept, c, 0);
      expected.step(x, targets, adam);
      actual.step(x, targets, adam);
      LayerParameters.of(expected).assertSame("after another step", actual);
      assertEquals(2, actual.steps());
    }
  }

  @Test
  void namesAndText() {
    Labels names = Labels.of("a", "b", "c", "d");
    try (LabelTree layer = LabelTree.builder(2, 4).classes(2).labels(names).build();
        LabelTree bare = LabelTree.builder(2, 4).classes(2).build();
        FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2)) {
      assertTrue(layer.hasLabels());
      assertEquals(names, layer.labels());
      Ranking ranking = layer.topK(x, 4);
      assertEquals(names.name(ranking.output(0, 2)), ranking.label(0, 2));
      assertEquals("c", layer.explain(x, 2).label());
      assertFalse(bare.hasLabels());
      assertFails(
          IllegalStateException.class,
          "layer: has no labels; setLabels names its outputs",
          bare::labels);
      bare.setLabels(names);
      assertEquals("a", bare.labels().name(0));
      assertEquals(2, layer.features());
      assertEquals(4, layer.outputs());
      assertEquals(2, layer.classCount());
      assertTrue(layer.metadata().isEmpty());
      assertTrue(
          layer.toString().startsWith("LabelTree(2 features, 4 outputs in 2 classes of up to 2, "),
          layer.toString());
    }
  }

  /** Equal seeds give equal layers, and a softmax the same weights. */
  @Test
  void theSeedTellsTheWeights() {
    try (LabelTree one = LabelTree.builder(3, 10).seed(5).build();
        LabelTree same = LabelTree.builder(3, 10).seed(5).build();
        LabelTree other = LabelTree.builder(3, 10).seed(6).build();
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(3, 10).seed(5).build()) {
      assertArrayEquals(one.W2().toArray(), same.W2().toArray());
      assertArrayEquals(one.W2().toArray(), softmax.W2().toArray());
      assertFalse(Arrays.equals(one.W2().toArray(), other.W2().toArray()));
    }
  }
}
