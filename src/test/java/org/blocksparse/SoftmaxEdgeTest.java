// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.softmax.TheanoSoftmax;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LayerParameters;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Corner cases of the two-level softmax: size 0, size 1, classes that are all padding, and NaN. */
@Tag("xcheck")
@ExtendWith(Seeded.class)
final class SoftmaxEdgeTest {
  private static final int FEATURES = 5;

  private static final List<Optimizer> OPTIMIZERS =
      List.of(
          Optimizer.sgd(0.5f),
          Optimizer.adagrad(0.5f),
          Optimizer.sgd(0.5f).withDecay(0.1f),
          Optimizer.adagrad(0.5f).withDecay(0.1f),
          Optimizer.adam(0.5f).withMaxNorm(0.1f));

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(FEATURES, 3).stream();
  }

  private static HierarchicalSoftmax layer(KernelsUnderTest kernels, SoftmaxProblem p) {
    return p.layer(
        HierarchicalSoftmax.builder(p.features(), p.outputs()).workers(kernels.workers()));
  }

  private static SoftmaxProblem problem(Data data, int batch) {
    return data.softmax(batch, FEATURES, 3, 1, 0, 2, 1, 2, 0, 2, 1);
  }

  /** Without a row, every method returns an empty result. */
  @ParameterizedTest
  @MethodSource("kernels")
  void noRows(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = problem(data, 0);
    try (HierarchicalSoftmax layer = layer(kernels, p);
        FloatTensor x = FloatTensor.zeros(0, FEATURES);
        IntTensor targets = IntTensor.zeros(0);
        IntTensor candidates = IntTensor.zeros(0, 4);
        FloatTensor all = layer.probabilities(x);
        FloatTensor ofTargets = layer.logProbabilitiesOf(x, targets);
        FloatTensor ofCandidates = layer.logProbabilitiesOf(x, candidates);
        SoftmaxGradients gradients = layer.gradients(x, targets)) {
      assertEquals(Shape.of(0, 7), all.shape());
      assertEquals(Shape.of(0), ofTargets.shape());
      assertEquals(Shape.of(0, 4), ofCandidates.shape());
      assertEquals(0, layer.loss(x, targets));
      assertEquals(0, gradients.loss());
      assertArrayEquals(new float[p.W2().length], gradients.W2().toArray());
      assertEquals(0, layer.topK(x, 3).batch());
      assertEquals(0, layer.topP(x, 0.5).batch());
      assertEquals(0, layer.atLeast(x, 0.5).batch());
      assertEquals(0, layer.sample(x, new SplittableRandom(1)).length);
    }
  }

  /** A batch in which no row counts changes nothing: no decay and no momentum. */
  @ParameterizedTest
  @MethodSource("kernels")
  void stepsInWhichNoRowCounts_changeNothing(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = problem(data, 6);
    for (Optimizer optimizer : OPTIMIZERS) {
      try (HierarchicalSoftmax layer = layer(kernels, p);
          FloatTensor x = FloatTensor.of(p.x(), 6, FEATURES);
          IntTensor targets = IntTensor.of(p.targets(), 6);
          FloatTensor nothing = FloatTensor.zeros(0, FEATURES);
          FloatTensor noWeights = FloatTensor.zeros(6);
          IntTensor noTargets = IntTensor.zeros(0);
          IntTensor ignored = IntTensor.of(new int[] {-1, -1, -1, -1, -1, -1}, 6);
          FloatTensor gradX = FloatTensor.zeros(6, FEATURES)) {
        layer.step(x, targets, Loss.mean(), optimizer, gradX);
        LayerParameters before = LayerParameters.of(layer);
        assertEquals(0, layer.step(nothing, noTargets, optimizer));
        before.assertSame(optimizer + ", no rows", layer);
        gradX.fill(Float.NaN);
        assertEquals(0, layer.step(x, ignored, Loss.mean().withIgnored(-1), optimizer, gradX));
        before.assertSame(optimizer + ", all ignored", layer);
        assertArrayEquals(new float[6 * FEATURES], gradX.toArray(), "all ignored");
        gradX.fill(Float.NaN);
        assertEquals(
            0, layer.step(x, targets, Loss.mean().withRowWeights(noWeights), optimizer, gradX));
        before.assertSame(optimizer + ", all of weight 0", layer);
        assertArrayEquals(new float[6 * FEATURES], gradX.toArray(), "all of weight 0");
        assertEquals(4, layer.steps(), "they are counted");
      }
    }
  }

  /** The content of rows that are ignored or have weight 0 does not matter, not even NaN. */
  @ParameterizedTest
  @MethodSource("kernels")
  void rowsThatDoNotCount_mayHoldAnything(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = problem(data, 9);
    int[] targets = p.targets().clone();
    targets[1] = -1;
    float[] weights = {1, 2, 3, 1, 0, 1, 2, 1, 0};
    float[] garbage = p.x().clone();
    float[] zeros = p.x().clone();
    for (int row : new int[] {1, 4, 8}) {
      Arrays.fill(garbage, row * FEATURES, (row + 1) * FEATURES, Float.NaN);
      Arrays.fill(zeros, row * FEATURES, (row + 1) * FEATURES, 0);
    }
    for (Optimizer optimizer : OPTIMIZERS) {
      try (HierarchicalSoftmax expected = layer(kernels, p);
          HierarchicalSoftmax actual = layer(kernels, p);
          IntTensor t = IntTensor.of(targets, 9);
          FloatTensor w = FloatTensor.of(weights, 9);
          FloatTensor x0 = FloatTensor.of(zeros, 9, FEATURES);
          FloatTensor x1 = FloatTensor.of(garbage, 9, FEATURES);
          FloatTensor gradX0 = FloatTensor.zeros(9, FEATURES);
          FloatTensor gradX1 = FloatTensor.zeros(9, FEATURES)) {
        gradX1.fill(Float.NaN);
        Loss loss = Loss.mean().withIgnored(-1).withRowWeights(w);
        assertEquals(
            expected.step(x0, t, loss, optimizer, gradX0),
            actual.step(x1, t, loss, optimizer, gradX1));
        LayerParameters.of(expected).assertSame(optimizer.toString(), actual);
        assertArrayEquals(gradX0.toArray(), gradX1.toArray());
      }
    }
  }

  /** A step with non-finite values is rejected before anything is changed. */
  @ParameterizedTest
  @MethodSource("kernels")
  void stepsOnWhatIsNotFinite_areRefused(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = problem(data, 6);
    for (Optimizer optimizer : OPTIMIZERS) {
      for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
        try (HierarchicalSoftmax layer = layer(kernels, p);
            HierarchicalSoftmax same = layer(kernels, p);
            FloatTensor x = FloatTensor.of(p.x(), 6, FEATURES);
            FloatTensor bad = FloatTensor.of(p.x(), 6, FEATURES);
            IntTensor targets = IntTensor.of(p.targets(), 6)) {
          bad.set(poison, 3, 2);
          layer.step(x, targets, optimizer);
          same.step(x, targets, optimizer);
          LayerParameters before = LayerParameters.of(layer);
          for (int attempt = 0; attempt < 2; attempt++) {
            String message =
                assertThrows(ArithmeticException.class, () -> layer.step(bad, targets, optimizer))
                    .getMessage();
            assertTrue(message.startsWith("step 2: the loss is NaN; "), message);
            assertTrue(message.contains("" + optimizer.rate()), message);
            before.assertSame(optimizer + " on " + poison, layer);
          }
          // The state of the optimizer is unchanged, too.
          assertEquals(same.step(x, targets, optimizer), layer.step(x, targets, optimizer));
          LayerParameters.of(same).assertSame("one more step", layer);
        }
      }
    }
  }

  /** If a class is poisoned, the others and the class level are not updated. */
  @ParameterizedTest
  @MethodSource("kernels")
  void aPoisonedClass_poisonsNoOther(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = problem(data, 6);
    int[] targets = {0, 1, 2, 3, 4, 5};
    for (Optimizer optimizer : OPTIMIZERS) {
      try (HierarchicalSoftmax layer = layer(kernels, p);
          FloatTensor x = FloatTensor.of(p.x(), 6, FEATURES);
          IntTensor t = IntTensor.of(targets, 6)) {
        layer.b2().set(Float.NaN, 1, 0);
        float[] W1 = layer.W1().toArray();
        assertThrows(ArithmeticException.class, () -> layer.step(x, t, optimizer));
        assertArrayEquals(W1, layer.W1().toArray(), "W1");
        for (float weight : layer.W2().toArray()) {
          assertTrue(Float.isFinite(weight), optimizer + ": a weight is " + weight);
        }
      }
    }
  }

  /** A single output has probability 1 and no gradient; so has a single class. */
  @ParameterizedTest
  @MethodSource("kernels")
  void oneOfEverything(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = data.softmax(1, 1, 1, 1, 0);
    for (Optimizer optimizer : OPTIMIZERS) {
      try (HierarchicalSoftmax layer = layer(kernels, p);
          FloatTensor x = FloatTensor.of(p.x(), 1, 1);
          IntTensor targets = IntTensor.zeros(1);
          FloatTensor gradX = FloatTensor.of(new float[] {7}, 1, 1);
          FloatTensor all = layer.probabilities(x)) {
        assertEquals(1, all.get(0, 0));
        assertEquals(0, layer.loss(x, targets));
        for (Ranking ranking : List.of(layer.topK(x, 1), layer.topP(x, 1), layer.atLeast(x, 1))) {
          assertArrayEquals(new int[] {0}, ranking.outputs(0));
          assertEquals(0f, ranking.logProbability(0, 0), "not even -0");
          assertEquals(1, ranking.probability(0, 0));
          assertEquals(1, ranking.openedClasses(0));
        }
        assertArrayEquals(
            new int[] {0}, layer.sample(x, 1e-30, new SplittableRandom(2), Filter.without()));
        assertEquals(0, layer.step(x, targets, Loss.mean().withSmoothing(0.5f), optimizer, gradX));
        assertEquals(0, gradX.get(0, 0));
        assertArrayEquals(p.b1(), layer.b1().toArray());
        assertArrayEquals(p.b2(), layer.b2().toArray());
      }
    }
  }

  /**
   * Theano's nine arguments with classes that are all padding, one class, one slot, no features.
   */
  @ParameterizedTest
  @MethodSource("kernels")
  void theanosPadding(KernelsUnderTest kernels, Data data) {
    for (int[] sizes :
        new int[][] {
          // batch, features, outputs, classes, slots
          {3, 4, 4, 5, 3},
          {3, 4, 1, 5, 3},
          {3, 4, 1, 1, 1},
          {3, 1, 7, 1, 9},
          {3, 1, 7, 9, 1},
          {1, 4, 13, 5, 3},
          {600, 2, 13, 5, 3}, // more rows than are computed at a time
          {2, 0, 5, 2, 3},
          {0, 3, 5, 2, 3}
        }) {
      SoftmaxProblem p = padded(data, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]);
      SoftmaxOracle oracle = new SoftmaxOracle(p, true);
      try (FloatTensor x = FloatTensor.of(p.x(), p.batch(), p.features());
          FloatTensor W1 = FloatTensor.of(p.W1(), p.features(), p.classes());
          FloatTensor b1 = FloatTensor.of(p.b1(), p.classes());
          FloatTensor W2 = FloatTensor.of(p.W2(), p.classes(), p.features(), p.slots());
          FloatTensor b2 = FloatTensor.of(p.b2(), p.classes(), p.slots());
          IntTensor target = IntTensor.of(p.targets(), p.batch());
          FloatTensor all =
              TheanoSoftmax.apply(
                  x,
                  p.batch(),
                  p.outputs(),
                  p.classes(),
                  p.slots(),
                  W1,
                  b1,
                  W2,
                  b2,
                  null,
                  kernels.workers());
          FloatTensor ofTargets =
              TheanoSoftmax.apply(
                  x,
                  p.batch(),
                  p.outputs(),
                  p.classes(),
                  p.slots(),
                  W1,
                  b1,
                  W2,
                  b2,
                  target,
                  kernels.workers())) {
        String name = Arrays.toString(sizes);
        oracle.probabilities().assertHolds(name, all);
        oracle.targetProbabilities().assertHolds(name + ", targets", ofTargets);
      }
    }
  }

  private static SoftmaxProblem padded(
      Data data, int batch, int features, int outputs, int classes, int slots) {
    return new SoftmaxProblem(
        batch,
        features,
        classes,
        slots,
        IntStream.range(0, outputs).map(o -> o / slots).toArray(),
        data.floats(Numbers.GAUSSIAN, (long) batch * features),
        data.floats(Numbers.GAUSSIAN, (long) features * classes),
        data.floats(Numbers.GAUSSIAN, classes),
        data.floats(Numbers.GAUSSIAN, (long) classes * features * slots),
        data.floats(Numbers.GAUSSIAN, (long) classes * slots),
        data.indices(batch, outputs));
  }

  /** A bias of minus infinity forbids an output, or a whole class. */
  @ParameterizedTest
  @MethodSource("kernels")
  void forbiddenOutputs(KernelsUnderTest kernels, Data data) {
    // Classes: {0, 4}, {2, 6}, {1, 3, 5}. Forbidden: output 3, and the class of 2 and 6.
    SoftmaxProblem p = problem(data, 40);
    try (HierarchicalSoftmax layer = layer(kernels, p);
        FloatTensor x = FloatTensor.of(p.x(), 40, FEATURES)) {
      layer.b2().set(Float.NEGATIVE_INFINITY, 2, 1);
      layer.b1().set(Float.NEGATIVE_INFINITY, 1);
      try (FloatTensor all = layer.probabilities(x);
          FloatTensor logs = layer.logProbabilities(x)) {
        Ranking ranking = layer.topK(x, 7);
        Ranking likely = layer.topP(x, 1);
        int[] drawn = layer.sample(x, 5, new SplittableRandom(3), Filter.without());
        for (int row = 0; row < 40; row++) {
          double sum = 0;
          for (int output = 0; output < 7; output++) {
            boolean forbidden = output == 2 || output == 3 || output == 6;
            assertEquals(forbidden, all.get(row, output) == 0, "output " + output);
            assertEquals(forbidden, logs.get(row, output) == Float.NEGATIVE_INFINITY);
            sum += all.get(row, output);
          }
          assertEquals(1, sum, 1e-6);
          int[] last = Arrays.copyOfRange(ranking.outputs(row), 4, 7);
          assertArrayEquals(new int[] {2, 3, 6}, last, "ties by number, at the end");
          assertEquals(0, ranking.probability(row, 6));
          assertTrue(likely.size(row) >= 1);
          assertTrue(all.get(row, drawn[row]) > 0, "drawn: " + drawn[row]);
        }
      }
    }
  }

  /** Several threads call one layer at the same time, each with batches of its own sizes. */
  @ParameterizedTest
  @MethodSource("kernels")
  void concurrentPredictions(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = data.softmax(64, 32, 222, 2, classes(900, 17));
    try (HierarchicalSoftmax layer = layer(kernels, p)) {
      List<Integer> batches = List.of(1, 2, 5, 17, 33, 64);
      List<Object> expected = batches.stream().map(n -> answers(layer, p, n)).toList();
      List<Integer> calls = new ArrayList<>();
      for (int i = 0; i < 60; i++) {
        calls.add(i % batches.size());
      }
      calls.parallelStream()
          .forEach(i -> assertEquals(expected.get(i), answers(layer, p, batches.get(i)), "" + i));
    }
  }

  /** Returns classes that all have outputs, which are not in order. */
  private static int[] classes(int outputs, int classes) {
    return IntStream.range(0, outputs).map(o -> o % 5 == 4 ? 0 : o * 7 % classes).toArray();
  }

  private static Object answers(HierarchicalSoftmax layer, SoftmaxProblem p, int batch) {
    try (FloatTensor x = FloatTensor.of(Arrays.copyOf(p.x(), batch * 32), batch, 32);
        IntTensor targets = IntTensor.of(Arrays.copyOf(p.targets(), batch), batch);
        FloatTensor ofTargets = layer.logProbabilitiesOf(x, targets);
        FloatTensor all = layer.probabilities(x)) {
      Ranking ranking = layer.topK(x, 5);
      return List.of(
          Arrays.hashCode(ofTargets.toArray()),
          Arrays.hashCode(all.toArray()),
          IntStream.range(0, batch).mapToObj(r -> Arrays.toString(ranking.outputs(r))).toList(),
          Arrays.toString(layer.sample(x, new SplittableRandom(4))));
    }
  }
}
