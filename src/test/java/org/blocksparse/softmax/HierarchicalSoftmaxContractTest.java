// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.OptimizerOracle.Rule;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The contract of the two-level softmax on every kind of kernels, compared with a float64 oracle.
 */
final class HierarchicalSoftmaxContractTest extends TwoLevelLayerContract {
  /** A layer and a batch for it; logits are of about {@code scale}. */
  @SuppressWarnings("ArrayRecordComponent")
  record Case(int batch, int features, float scale, int slots, int... classOf) {
    /** Returns the kernels for products whose blocks are W1 and those of W2. */
    Stream<KernelsUnderTest> kernels() {
      int classes = Arrays.stream(classOf).max().getAsInt() + 1;
      return Stream.concat(
              KernelsUnderTest.forBlocks(features, classes).stream(),
              KernelsUnderTest.forBlocks(features, slots).stream())
          .distinct();
    }

    @Override
    public String toString() {
      return batch
          + " rows, "
          + features
          + " features, "
          + classOf.length
          + " outputs, "
          + slots
          + " slots, scale "
          + scale;
    }
  }

  private static final List<Case> CASES =
      List.of(
          contiguous(2, 4, 1, 15, 5), // Theano's own test
          contiguous(3, 4, 1, 13, 5), // the last class is smaller
          contiguous(5, 3, 1, 7, 1),
          contiguous(5, 3, 1, 7, 7),
          contiguous(2, 1, 1, 1, 1),
          contiguous(1, 8, 1, 100, 10),
          contiguous(70, 33, 2, 144, 12),
          contiguous(260, 17, 1, 60, 3), // more rows for a class than a chunk holds
          contiguous(300, 5, 1, 36, 9), // more rows than are computed at a time
          contiguous(33, 65, 1, 450, 150),
          contiguous(9, 129, 1, 300, 2), // rows that are cut into bands
          contiguous(8, 16, 60, 64, 8), // probabilities that underflow
          contiguous(0, 4, 1, 15, 5),
          new Case(20, 6, 1, 3, 0, 1, 1, 2, 2, 2, 0, 3),
          unequal(150, 9, 60),
          unequal(600, 5, 40), // rows that come in several parts and are put in order
          contiguous(600, 3, 1, 13, 5));

  /**
   * Returns a case in which class 0 has a quarter of the outputs, and seven other classes share the
   * rest.
   */
  private static Case unequal(int batch, int features, int outputs) {
    int[] classOf = IntStream.range(0, outputs).map(o -> o % 4 == 0 ? 0 : 1 + o % 7).toArray();
    int[] sizes = new int[8];
    Arrays.stream(classOf).forEach(c -> sizes[c]++);
    return new Case(batch, features, 1, Arrays.stream(sizes).max().getAsInt(), classOf);
  }

  private static Case contiguous(int batch, int features, float scale, int outputs, int classes) {
    int slots = (outputs - 1) / classes + 1;
    return new Case(
        batch, features, scale, slots, IntStream.range(0, outputs).map(o -> o / slots).toArray());
  }

  static Stream<Arguments> cases() {
    return CASES.stream()
        .flatMap(given -> given.kernels().map(kernels -> Arguments.of(kernels, given)));
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(5, 4).stream();
  }

  private static final class Setup extends LayerUnderTest<IntTensor, HierarchicalSoftmax> {
    Setup(KernelsUnderTest kernels, SoftmaxProblem p) {
      super(
          kernels,
          p,
          HierarchicalSoftmax.builder(p.features(), p.outputs()),
          IntTensor.of(p.targets(), p.batch()));
    }

    @Override
    public void close() {
      super.close();
      targets.close();
    }
  }

  private static SoftmaxProblem problem(Data data, Case given) {
    return data.softmax(given.batch, given.features, given.slots, given.scale, given.classOf);
  }

  private static void run(
      KernelsUnderTest kernels, SoftmaxProblem problem, BiConsumer<Setup, SoftmaxOracle> body) {
    try (Setup setup = new Setup(kernels, problem)) {
      body.accept(setup, new SoftmaxOracle(problem, false));
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void predictions(KernelsUnderTest kernels, Case given, Data data) {
    run(
        kernels,
        problem(data, given),
        (setup, oracle) -> {
          HierarchicalSoftmax layer = setup.layer;
          checkProbabilities(setup, oracle.probabilities(), oracle.logProbabilities());
          check(
              "target probabilities",
              oracle.targetProbabilities(),
              layer.probabilitiesOf(setup.x, setup.targets));
          check(
              "target log probabilities",
              oracle.targetLogProbabilities(),
              layer.logProbabilitiesOf(setup.x, setup.targets));
          SoftmaxOracle.Gradients expected = oracle.gradients(SoftmaxOracle.Loss.ofMean());
          assertEquals(
              expected.loss(),
              layer.loss(setup.x, setup.targets),
              expected.lossBound() + 1e-12,
              "loss");
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void theano(KernelsUnderTest kernels, Case given, Data data) {
    SoftmaxProblem p = problem(data, given);
    if (!isContiguous(p)) {
      return;
    }
    SoftmaxOracle oracle = new SoftmaxOracle(p, true);
    try (Setup setup = new Setup(kernels, p)) {
      HierarchicalSoftmax layer = setup.layer;
      check(
          "all outputs", oracle.probabilities(), p.theano(setup.x, layer, null, kernels.workers()));
      check(
          "targets",
          oracle.targetProbabilities(),
          p.theano(setup.x, layer, setup.targets, kernels.workers()));
    }
  }

  private static boolean isContiguous(SoftmaxProblem p) {
    return IntStream.range(0, p.outputs()).allMatch(o -> p.classOf()[o] == o / p.slots());
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradients(KernelsUnderTest kernels, Case given, Data data) {
    run(
        kernels,
        problem(data, given),
        (setup, oracle) ->
            oracle
                .gradients(SoftmaxOracle.Loss.ofMean())
                .assertHold(setup.layer.gradients(setup.x, setup.targets)));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void lossOptions(KernelsUnderTest kernels, Case given, Data data) {
    SoftmaxProblem p = problem(data, given);
    float[] weights = data.floats(Numbers.GAUSSIAN, given.batch);
    for (int row = 0; row < given.batch; row++) {
      if (row % 3 == 1) {
        p.targets()[row] = -100;
      }
      if (row % 5 == 0) {
        weights[row] = 0;
      }
    }
    run(
        kernels,
        p,
        (setup, oracle) -> {
          try (FloatTensor w = setup.memory.of("weights", weights, given.batch)) {
            checkLoss(
                setup,
                oracle,
                new SoftmaxOracle.Loss(true, -100, 0, null),
                Loss.mean().withIgnored(-100));
            checkLoss(
                setup,
                oracle,
                new SoftmaxOracle.Loss(false, -100, 0.125, null),
                Loss.sum().withSmoothing(0.125f).withIgnored(-100));
            checkLoss(
                setup,
                oracle,
                new SoftmaxOracle.Loss(true, -100, 0.75, weights),
                Loss.mean().withIgnored(-100).withRowWeights(w).withSmoothing(0.75f));
            checkLoss(
                setup,
                oracle,
                new SoftmaxOracle.Loss(false, -100, 0, weights),
                Loss.sum().withRowWeights(w).withIgnored(-100));
          }
        });
  }

  /** Checks gradients, the loss alone, and the contribution of each row. */
  private static void checkLoss(
      Setup setup, SoftmaxOracle oracle, SoftmaxOracle.Loss expected, Loss loss) {
    SoftmaxOracle.Gradients gradients = oracle.gradients(expected);
    checkLoss(setup, gradients, loss);
    int batch = (int) setup.x.shape().dim(0);
    try (FloatTensor ofRows = setup.layer.losses(setup.x, setup.targets, loss)) {
      assertEquals(Shape.of(batch), ofRows.shape());
      // The loss of one row equals that of a batch in which the others have weight 0.
      for (int row = 0; row < Math.min(batch, 9); row++) {
        float[] weights = new float[batch];
        weights[row] = expected.weights() == null ? 1 : expected.weights()[row];
        SoftmaxOracle.Gradients alone =
            oracle.gradients(
                new SoftmaxOracle.Loss(
                    expected.mean(), expected.ignored(), expected.smoothing(), weights));
        assertEquals(
            alone.loss(),
            ofRows.get(row),
            1.01 * alone.lossBound() + 2 * Bounded.U * Math.abs(alone.loss()),
            "row " + row);
      }
    }
  }

  static Stream<Arguments> rules() {
    return KernelsUnderTest.forBlocks(17, 17).stream()
        .flatMap(kernels -> Rule.VARIOUS.stream().map(rule -> Arguments.of(kernels, rule)));
  }

  /** Each of three steps is compared with one from the same parameters. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("rules")
  void steps(KernelsUnderTest kernels, Rule rule, Data data) {
    for (Case given :
        List.of(
            contiguous(3, 4, 1, 40, 8),
            contiguous(40, 17, 1, 60, 6),
            contiguous(200, 9, 1, 34, 2),
            contiguous(12, 61, 1, 300, 4), // updated in one pass with the gradient of x, if by SGD
            new Case(7, 6, 1, 3, 0, 1, 1, 2, 2, 2, 0, 3))) {
      SoftmaxProblem p = problem(data, given);
      boolean[] touched = new boolean[p.classes()];
      for (int target : p.targets()) {
        touched[p.classOf()[target]] = true;
      }
      try (Setup setup = new Setup(kernels, p)) {
        checkSteps(
            given.toString(),
            setup,
            p,
            touched,
            rule,
            now -> new SoftmaxOracle(now, false).gradients(SoftmaxOracle.Loss.ofMean()));
      }
    }
  }

  /** A step by another rule begins without state. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void changingTheRuleForgetsItsState(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = data.softmax(5, 4, 3, 1, 0, 0, 0, 1, 1, 1);
    try (Setup setup = new Setup(kernels, p);
        Setup fresh = new Setup(kernels, p)) {
      setup.layer.step(setup.x, setup.targets, Optimizer.adam(0.1f));
      setup.layer.step(setup.x, setup.targets, Optimizer.adagrad(0.1f));
      setup.layer.W1().copyFrom(p.W1());
      setup.layer.b1().copyFrom(p.b1());
      setup.layer.W2().copyFrom(p.W2());
      setup.layer.b2().copyFrom(p.b2());
      setup.layer.step(setup.x, setup.targets, Optimizer.adam(0.1f));
      fresh.layer.step(fresh.x, fresh.targets, Optimizer.adam(0.1f));
      assertArrayEquals(fresh.layer.W1().toArray(), setup.layer.W1().toArray(), "W1");
      assertArrayEquals(fresh.layer.W2().toArray(), setup.layer.W2().toArray(), "W2");
    }
  }

  /** The mean over all rows equals that over the rows that count, whatever the other rows are. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void ignoredRowsChangeNothing(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = data.softmax(4, 5, 3, 1, 0, 0, 0, 1, 1, 1);
    float[] x = Arrays.copyOf(p.x(), 7 * 5);
    Arrays.fill(x, 20, 35, 3e30f);
    int[] targets = {p.targets()[0], p.targets()[1], p.targets()[2], p.targets()[3], -1, -1, -1};
    try (Setup setup = new Setup(kernels, p);
        FloatTensor more = FloatTensor.of(x, 7, 5);
        IntTensor moreTargets = IntTensor.of(targets, 7);
        SoftmaxGradients expected = setup.layer.gradients(setup.x, setup.targets);
        SoftmaxGradients actual =
            setup.layer.gradients(more, moreTargets, Loss.mean().withIgnored(-1))) {
      assertEquals(expected.loss(), actual.loss(), 0, "loss");
      assertArrayEquals(expected.W2().toArray(), actual.W2().toArray(), "gradW2");
      assertArrayEquals(expected.b2().toArray(), actual.b2().toArray(), "gradB2");
      assertArrayEquals(expected.b1().toArray(), actual.b1().toArray(), 1e-6f, "gradB1");
      float[] gradX = actual.x().toArray();
      assertArrayEquals(
          expected.x().toArray(), Arrays.copyOf(gradX, 20), 1e-6f, "gradX of rows that count");
      assertArrayEquals(
          new float[15], Arrays.copyOfRange(gradX, 20, 35), "gradX of rows that do not");
    }
  }

  /** Rows sum to one, and a NaN stays in its row. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void nanStaysInItsRow(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = data.softmax(6, 5, 4, 1, 0, 0, 0, 0, 1, 1, 2, 2, 2);
    for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      p.x()[2 * 5 + 3] = poison;
      run(
          kernels,
          p,
          (setup, oracle) -> {
            for (FloatTensor all :
                List.of(
                    setup.layer.probabilities(setup.x), setup.layer.logProbabilities(setup.x))) {
              float[] values = all.toArray();
              for (int row = 0; row < 6; row++) {
                boolean nan = row == 2;
                for (int output = 0; output < 9; output++) {
                  assertEquals(
                      nan, Float.isNaN(values[row * 9 + output]), "row " + row + " of " + all);
                }
              }
              all.close();
            }
            float[] ofTargets = setup.layer.probabilitiesOf(setup.x, setup.targets).toArray();
            for (int row = 0; row < 6; row++) {
              assertEquals(row == 2, Float.isNaN(ofTargets[row]), "target of row " + row);
            }
            try (SoftmaxGradients gradients = setup.layer.gradients(setup.x, setup.targets)) {
              assertTrue(Double.isNaN(gradients.loss()), "loss");
              float[] gradX = gradients.x().toArray();
              for (int row = 0; row < 6; row++) {
                assertEquals(row == 2, Float.isNaN(gradX[row * 5]), "gradX of row " + row);
              }
            }
          });
    }
  }

  /** Logits are far apart: log probabilities and gradients stay finite and right. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void hugeLogits(KernelsUnderTest kernels, Data data) {
    SoftmaxProblem p = data.softmax(6, 5, 4, 1e4f, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2);
    run(
        kernels,
        p,
        (setup, oracle) ->
            checkHugeLogits(
                setup, oracle.logProbabilities(), oracle.gradients(SoftmaxOracle.Loss.ofMean())));
  }
}
