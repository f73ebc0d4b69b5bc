// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.OptimizerOracle.Kind;
import org.blocksparse.testing.OptimizerOracle.Rule;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.blocksparse.testing.TwoLevelStepOracle;

/**
 * Twenty steps with every option against float64: gradients by the definition of the loss, clipped,
 * then the rule, whose moments are kept as intervals from the first step to the last. Each step is
 * compared with one from the same parameters.
 */
final class OptimizerProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();
  private static final int STEPS = 20;
  private static final int IGNORED = -1;

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  @Property
  void twentySteps(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll Kind kind,
      @ForAll @IntRange(min = 1, max = 12) int batch,
      @ForAll @IntRange(min = 1, max = 6) int features,
      @ForAll @IntRange(min = 1, max = 5) int classes,
      @ForAll @IntRange(max = 12) int more,
      @ForAll boolean mean,
      @ForAll long seed) {
    Data data = new Data(seed);
    int[] classOf = data.classOf(classes, more);
    int slots = ClassAssignment.of(classOf).slots();
    SoftmaxProblem first = data.softmax(batch, features, slots, 1, classOf);
    Rule rule = Rule.random(kind, data);
    float maxNorm =
        data.below(2) == 0 ? Float.POSITIVE_INFINITY : (float) Math.exp(data.between(-4, 1));
    float[] weights = data.below(2) == 0 ? null : data.floats(Numbers.GAUSSIAN, batch);
    float smoothing = data.below(2) == 0 ? 0 : data.between(0, 0.9f);
    boolean ignoring = data.below(2) == 0;
    new Run(kernels.workers(), first, new TwoLevelStepOracle(first, rule, maxNorm))
        .steps(new SoftmaxOracle.Loss(mean, ignoring ? IGNORED : null, smoothing, weights), data);
  }

  /** A layer in training, and the state of its oracles. */
  private static final class Run {
    private final Workers workers;
    private final SoftmaxProblem first;
    private final TwoLevelStepOracle oracle;

    Run(Workers workers, SoftmaxProblem first, TwoLevelStepOracle oracle) {
      this.workers = workers;
      this.first = first;
      this.oracle = oracle;
    }

    void steps(SoftmaxOracle.Loss expectedLoss, Data data) {
      SoftmaxProblem p = first;
      Loss loss = (expectedLoss.mean() ? Loss.mean() : Loss.sum());
      loss = loss.withSmoothing((float) expectedLoss.smoothing());
      if (expectedLoss.ignored() != null) {
        loss = loss.withIgnored(expectedLoss.ignored());
      }
      try (FloatTensor x = FloatTensor.zeros(p.batch(), p.features());
          IntTensor targets = IntTensor.zeros(p.batch());
          FloatTensor weights = FloatTensor.zeros(p.batch());
          HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(p.features(), p.outputs())
                  .classes(ClassAssignment.of(p.classOf()))
                  .workers(workers)
                  .build(
                      FloatTensor.of(p.W1(), p.features(), p.classes()),
                      FloatTensor.of(p.b1(), p.classes()),
                      FloatTensor.of(p.W2(), p.classes(), p.features(), p.slots()),
                      FloatTensor.of(p.b2(), p.classes(), p.slots()))) {
        if (expectedLoss.weights() != null) {
          weights.copyFrom(expectedLoss.weights());
          loss = loss.withRowWeights(weights);
        }
        for (int step = 0; step < STEPS; step++) {
          p = next(p, layer, expectedLoss.ignored() != null, data);
          x.copyFrom(p.x());
          targets.copyFrom(p.targets());
          step(p, layer, x, targets, loss, expectedLoss, "step " + step + ", ");
        }
      }
    }

    /**
     * Returns a problem with the current parameters and another batch, of which the first row
     * counts.
     */
    private static SoftmaxProblem next(
        SoftmaxProblem p, HierarchicalSoftmax layer, boolean ignoring, Data data) {
      int[] targets = data.indices(p.batch(), p.outputs());
      for (int row = 1; row < p.batch(); row++) {
        targets[row] = ignoring && data.below(3) == 0 ? IGNORED : targets[row];
      }
      return p.with(data.floats(Numbers.GAUSSIAN, (long) p.batch() * p.features()), targets, layer);
    }

    private void step(
        SoftmaxProblem p,
        HierarchicalSoftmax layer,
        FloatTensor x,
        IntTensor targets,
        Loss loss,
        SoftmaxOracle.Loss expectedLoss,
        String name) {
      SoftmaxOracle.Gradients g = new SoftmaxOracle(p, false).gradients(expectedLoss);
      try (FloatTensor gradX = FloatTensor.zeros(p.batch(), p.features())) {
        double value = layer.step(x, targets, loss, oracle.optimizer(), gradX);
        assertEquals(g.loss(), value, g.lossBound() + 1e-12, name + "loss");
        g.x().assertHolds(name + "gradX", gradX);
      }
      boolean[] touched = new boolean[p.classes()];
      for (int target : p.targets()) {
        if (target != IGNORED) {
          touched[p.classOf()[target]] = true;
        }
      }
      oracle.assertHolds(name, p, g, true, touched, layer);
    }
  }
}
