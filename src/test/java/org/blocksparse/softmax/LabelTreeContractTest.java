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
import org.blocksparse.SparseRows;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LabelTreeOracle;
import org.blocksparse.testing.OptimizerOracle.Rule;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The contract of the label tree on every kind of kernels, compared with a float64 oracle. */
final class LabelTreeContractTest extends TwoLevelLayerContract {
  private static final LabelTreeOracle.Loss MEAN = new LabelTreeOracle.Loss(true, null);

  /** A layer and a batch for it, whose rows have up to {@code most} targets. */
  @SuppressWarnings("ArrayRecordComponent")
  record Case(int batch, int features, float scale, int most, int[] classOf) {
    static Case contiguous(int batch, int features, float scale, int most, int outputs, int slots) {
      int[] classOf = IntStream.range(0, outputs).map(o -> o / slots).toArray();
      return new Case(batch, features, scale, most, classOf);
    }

    SoftmaxProblem problem(Data data) {
      int[] sizes = new int[Arrays.stream(classOf).max().getAsInt() + 1];
      Arrays.stream(classOf).forEach(c -> sizes[c]++);
      int slots = Arrays.stream(sizes).max().getAsInt();
      return data.softmax(batch, features, slots, scale, classOf);
    }

    /** Returns targets: some rows have none, and some have one twice. */
    int[][] targets(Data data) {
      int[][] targets = new int[batch][];
      Arrays.setAll(targets, row -> data.indices(data.below(most + 1), classOf.length));
      return targets;
    }

    @Override
    public String toString() {
      return batch
          + " rows of up to "
          + most
          + ", "
          + features
          + " features, "
          + classOf.length
          + " outputs, scale "
          + scale;
    }
  }

  private static final List<Case> CASES =
      List.of(
          Case.contiguous(2, 4, 1, 2, 15, 3),
          Case.contiguous(3, 4, 1, 4, 13, 3), // the last class is smaller
          Case.contiguous(5, 3, 1, 7, 7, 7),
          Case.contiguous(5, 3, 1, 3, 7, 1),
          Case.contiguous(2, 1, 1, 1, 1, 1),
          Case.contiguous(1, 8, 1, 30, 100, 10),
          Case.contiguous(70, 33, 2, 5, 144, 12),
          Case.contiguous(260, 17, 1, 4, 60, 20), // more rows for a class than a chunk holds
          Case.contiguous(300, 5, 1, 6, 36, 4), // more rows than are computed at a time
          Case.contiguous(33, 65, 1, 9, 450, 3),
          Case.contiguous(9, 129, 1, 3, 300, 150), // rows that are cut into bands
          Case.contiguous(8, 16, 60, 3, 64, 8), // probabilities that underflow
          Case.contiguous(4, 6, 1, 0, 12, 4), // no targets at all
          Case.contiguous(0, 4, 1, 3, 15, 3),
          new Case(20, 6, 1, 4, new int[] {0, 1, 1, 2, 2, 2, 0, 3}),
          new Case(
              150, 9, 1, 5, IntStream.range(0, 60).map(o -> o % 4 == 0 ? 0 : 1 + o % 7).toArray()));

  static Stream<Arguments> cases() {
    return KernelsUnderTest.all().stream()
        .flatMap(kernels -> CASES.stream().map(given -> Arguments.of(kernels, given)));
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.all().stream();
  }

  private static final class Setup extends LayerUnderTest<SparseRows, LabelTree> {
    Setup(KernelsUnderTest kernels, SoftmaxProblem p, int[][] targets) {
      super(
          kernels,
          p,
          LabelTree.builder(p.features(), p.outputs()),
          SparseRows.of(List.of(targets)));
    }

    @Override
    public void close() {
      super.close();
      targets.close();
    }
  }

  private static void run(
      KernelsUnderTest kernels, Case given, Data data, BiConsumer<Setup, LabelTreeOracle> body) {
    SoftmaxProblem problem = given.problem(data);
    int[][] targets = given.targets(data);
    try (Setup setup = new Setup(kernels, problem, targets)) {
      body.accept(setup, new LabelTreeOracle(problem, targets));
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void predictions(KernelsUnderTest kernels, Case given, Data data) {
    run(
        kernels,
        given,
        data,
        (setup, oracle) -> {
          LabelTree layer = setup.layer;
          checkProbabilities(setup, oracle.probabilities(), oracle.logProbabilities());
          int[][] ofRows = new int[given.batch][];
          Arrays.setAll(ofRows, setup.targets::indices);
          check(
              "of sparse targets",
              oracle.logProbabilitiesOf(ofRows),
              layer.logProbabilitiesOf(setup.x, setup.targets));
          int[] one = data.indices(given.batch, layer.outputs());
          Arrays.setAll(ofRows, row -> new int[] {one[row]});
          try (IntTensor single = IntTensor.of(one, given.batch)) {
            check(
                "of single targets",
                oracle.logProbabilitiesOf(ofRows),
                layer.logProbabilitiesOf(setup.x, single));
          }
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("cases")
  void gradientsAndLosses(KernelsUnderTest kernels, Case given, Data data) {
    float[] weights = data.floats(Numbers.GAUSSIAN, given.batch);
    for (int row = 0; row < given.batch; row += 5) {
      weights[row] = 0;
    }
    run(
        kernels,
        given,
        data,
        (setup, oracle) -> {
          try (FloatTensor w = setup.memory.of("weights", weights, given.batch)) {
            checkLoss(setup, oracle, MEAN, Loss.mean());
            checkLoss(setup, oracle, new LabelTreeOracle.Loss(false, null), Loss.sum());
            checkLoss(
                setup,
                oracle,
                new LabelTreeOracle.Loss(true, weights),
                Loss.mean().withRowWeights(w));
            checkLoss(
                setup,
                oracle,
                new LabelTreeOracle.Loss(false, weights),
                Loss.sum().withRowWeights(w));
          }
        });
  }

  /** Checks gradients, the loss alone, and the contribution of each row. */
  private static void checkLoss(
      Setup setup, LabelTreeOracle oracle, LabelTreeOracle.Loss expected, Loss loss) {
    SoftmaxOracle.Gradients gradients = oracle.gradients(expected);
    checkLoss(setup, gradients, loss);
    double room = gradients.lossBound() + 1e-12;
    try (FloatTensor ofRows = setup.layer.losses(setup.x, setup.targets, loss)) {
      double sum = 0;
      double size = 0;
      for (float ofRow : ofRows.toArray()) {
        sum += ofRow;
        size += Math.abs(ofRow);
      }
      assertEquals(gradients.loss(), sum, room + 2 * Bounded.U * size, "sum of the losses");
    }
  }

  static Stream<Arguments> rules() {
    return KernelsUnderTest.all().stream()
        .flatMap(kernels -> Rule.VARIOUS.stream().map(rule -> Arguments.of(kernels, rule)));
  }

  /** Each of three steps is compared with one from the same parameters. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("rules")
  void steps(KernelsUnderTest kernels, Rule rule, Data data) {
    for (Case given :
        List.of(
            Case.contiguous(3, 4, 1, 3, 40, 5),
            Case.contiguous(40, 17, 1, 4, 60, 10),
            Case.contiguous(200, 9, 1, 3, 34, 17),
            Case.contiguous(6, 61, 1, 3, 300, 75), // in one pass with the gradient of x, if by SGD
            Case.contiguous(3, 4, 1, 0, 12, 4),
            new Case(7, 6, 1, 4, new int[] {0, 1, 1, 2, 2, 2, 0, 3}))) {
      run(kernels, given, data, (setup, oracle) -> steps(setup, given.problem(data), oracle, rule));
    }
  }

  /**
   * Steps.
   *
   * @param like a problem of the same sizes
   */
  private static void steps(Setup setup, SoftmaxProblem like, LabelTreeOracle opening, Rule rule) {
    int batch = like.batch();
    boolean[] opened = new boolean[like.classes()];
    int[][] targets = new int[batch][];
    Arrays.setAll(targets, setup.targets::indices);
    for (int c = 0; c < opened.length; c++) {
      int number = c;
      opened[c] = IntStream.range(0, batch).anyMatch(row -> opening.opens(row, number));
    }
    checkSteps(
        rule.toString(),
        setup,
        like,
        opened,
        rule,
        now -> new LabelTreeOracle(now, targets).gradients(MEAN));
  }

  /** A NaN or an infinity in x stays in its row, and one in a weight in its output. */
  @Tag("xcheck")
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void nanStaysWhereItIs(KernelsUnderTest kernels, Data data) {
    Case given = new Case(6, 5, 1, 3, new int[] {0, 0, 0, 0, 1, 1, 2, 2, 2});
    SoftmaxProblem p = given.problem(data);
    p.x()[2 * 5 + 3] = Float.NaN;
    p.W2()[(1 * 5 + 2) * p.slots() + 1] = Float.NaN; // in the weights of output 5
    try (Setup setup = new Setup(kernels, p, new int[][] {{0}, {1, 4}, {2}, {5}, {}, {8, 0}});
        FloatTensor all = setup.layer.probabilities(setup.x);
        FloatTensor losses = setup.layer.losses(setup.x, setup.targets)) {
      for (int row = 0; row < 6; row++) {
        for (int output = 0; output < 9; output++) {
          assertEquals(
              row == 2 || output == 5,
              Float.isNaN(all.get(row, output)),
              "row " + row + ", output " + output);
        }
        // Rows 1 and 3 open the class of output 5.
        assertEquals(row >= 1 && row <= 3, Float.isNaN(losses.get(row)), "loss of row " + row);
      }
    }
  }

  /** Logits are far apart: log probabilities, losses and gradients stay finite and right. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void hugeLogits(KernelsUnderTest kernels, Data data) {
    Case given = new Case(6, 5, 1e4f, 4, new int[] {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2});
    run(
        kernels,
        given,
        data,
        (setup, oracle) ->
            checkHugeLogits(setup, oracle.logProbabilities(), oracle.gradients(MEAN)));
  }

  /** A row of weight 0 has no effect, whatever x holds. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kernels")
  void rowsOfWeightZeroDoNotCount(KernelsUnderTest kernels, Data data) {
    Case given = Case.contiguous(3, 4, 1, 3, 12, 4);
    SoftmaxProblem p = given.problem(data);
    Arrays.fill(p.x(), 4, 8, Float.NaN);
    try (Setup setup = new Setup(kernels, p, new int[][] {{1, 5}, {2, 11}, {0}});
        FloatTensor weights = FloatTensor.of(new float[] {1, 0, 1}, 3);
        SoftmaxGradients g =
            setup.layer.gradients(setup.x, setup.targets, Loss.sum().withRowWeights(weights))) {
      assertTrue(Double.isFinite(g.loss()));
      assertArrayEquals(new float[4], Arrays.copyOfRange(g.x().toArray(), 4, 8));
      float[] ofLastClass = Arrays.copyOfRange(g.b2().toArray(), 8, 12);
      assertArrayEquals(new float[4], ofLastClass, "only row 1 opens it");
      double loss =
          setup.layer.step(
              setup.x,
              setup.targets,
              Loss.sum().withRowWeights(weights),
              Optimizer.sgd(0.1f),
              null);
      assertEquals(g.loss(), loss, 0);
      for (float weight : setup.layer.W2().toArray()) {
        assertTrue(Float.isFinite(weight));
      }
    }
  }
}
