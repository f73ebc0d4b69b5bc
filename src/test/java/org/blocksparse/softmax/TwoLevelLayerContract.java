// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.Function;
import org.blocksparse.FloatTensor;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.OptimizerOracle.Rule;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.blocksparse.testing.TwoLevelStepOracle;
import org.junit.jupiter.api.extension.ExtendWith;

/** The checks that a softmax and a label tree share, each against its float64 oracle. */
@ExtendWith(Seeded.class)
abstract class TwoLevelLayerContract {
  /**
   * A layer between guard bands, with a batch.
   *
   * @param <T> the targets, which the subclass closes
   * @param <L> the layer
   */
  abstract static class LayerUnderTest<T, L extends TwoLevelLayer<T>> implements AutoCloseable {
    final Guarded memory = new Guarded();
    final FloatTensor x;
    final T targets;
    final L layer;

    LayerUnderTest(
        KernelsUnderTest kernels, SoftmaxProblem p, LayerBuilder<T, L> builder, T targets) {
      this.x = memory.of("x", p.x(), p.batch(), p.features());
      this.targets = targets;
      this.layer =
          builder
              .classes(ClassAssignment.of(p.classOf()))
              .workers(kernels.workers())
              .build(
                  memory.of("W1", p.W1(), p.features(), p.classes()),
                  memory.of("b1", p.b1(), p.classes()),
                  memory.of("W2", p.W2(), p.classes(), p.features(), p.slots()),
                  memory.of("b2", p.b2(), p.classes(), p.slots()));
    }

    @Override
    public void close() {
      memory.check();
      layer.close();
      memory.close();
    }
  }

  static void check(String name, Bounded expected, FloatTensor actual) {
    try (actual) {
      expected.assertHolds(name, actual);
    }
  }

  /** Checks the probabilities of all outputs, in a new tensor and in a given one. */
  static void checkProbabilities(
      LayerUnderTest<?, ?> setup, Bounded probabilities, Bounded logProbabilities) {
    TwoLevelLayer<?> layer = setup.layer;
    check("probabilities", probabilities, layer.probabilities(setup.x));
    check("log probabilities", logProbabilities, layer.logProbabilities(setup.x));
    try (FloatTensor out = FloatTensor.zeros(setup.x.shape().dim(0), layer.outputs())) {
      out.fill(Float.NaN);
      layer.probabilities(setup.x, out);
      probabilities.assertHolds("probabilities into a tensor", out);
      out.fill(Float.NaN);
      layer.logProbabilities(setup.x, out);
      logProbabilities.assertHolds("log probabilities into a tensor", out);
    }
  }

  /** Checks gradients, and the loss alone. */
  static <T> void checkLoss(
      LayerUnderTest<T, ?> setup, SoftmaxOracle.Gradients expected, Loss loss) {
    expected.assertHold(setup.layer.gradients(setup.x, setup.targets, loss));
    assertEquals(
        expected.loss(),
        setup.layer.loss(setup.x, setup.targets, loss),
        expected.lossBound() + 1e-12,
        "loss");
  }

  /**
   * Checks three steps, each by the parameters before it; the second has no gradient for x.
   *
   * @param like a problem of the same sizes
   * @param touched whether a target lives in a class
   * @param ofMean the gradients of the mean
   */
  static <T> void checkSteps(
      String name,
      LayerUnderTest<T, ?> setup,
      SoftmaxProblem like,
      boolean[] touched,
      Rule rule,
      Function<SoftmaxProblem, SoftmaxOracle.Gradients> ofMean) {
    TwoLevelLayer<T> layer = setup.layer;
    // Slots without an output have no gradient; their weights decay in a touched class.
    TwoLevelStepOracle oracle = new TwoLevelStepOracle(like, rule, Float.POSITIVE_INFINITY);
    for (int step = 0; step < 3; step++) {
      SoftmaxProblem now = like.with(setup.x.toArray(), like.targets(), layer);
      SoftmaxOracle.Gradients gradients = ofMean.apply(now);
      FloatTensor gradX = setup.memory.nan("gradX", like.batch(), like.features());
      double loss =
          step == 1
              ? layer.step(setup.x, setup.targets, oracle.optimizer())
              : layer.step(setup.x, setup.targets, Loss.mean(), oracle.optimizer(), gradX);
      String which = name + ", step " + step + ": ";
      assertEquals(gradients.loss(), loss, gradients.lossBound(), which + "loss");
      if (step != 1) {
        gradients.x().assertHolds(which + "gradX", gradX);
      }
      oracle.assertHolds(which, now, gradients, true, touched, layer);
    }
    assertEquals(3, layer.steps());
  }

  /** Logits are far apart: log probabilities, losses and gradients stay finite and right. */
  static <T> void checkHugeLogits(
      LayerUnderTest<T, ?> setup, Bounded logProbabilities, SoftmaxOracle.Gradients ofMean) {
    check("log probabilities", logProbabilities, setup.layer.logProbabilities(setup.x));
    ofMean.assertHold(setup.layer.gradients(setup.x, setup.targets));
    for (float value : setup.layer.logProbabilities(setup.x).toArray()) {
      assertTrue(Float.isFinite(value), "a log probability is " + value);
    }
  }
}
