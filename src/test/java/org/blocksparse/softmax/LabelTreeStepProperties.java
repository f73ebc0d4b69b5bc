// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LabelTreeOracle;
import org.blocksparse.testing.OptimizerOracle.Kind;
import org.blocksparse.testing.OptimizerOracle.Rule;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.blocksparse.testing.TwoLevelStepOracle;

/**
 * Twenty steps of a label tree with every option against float64: gradients by the definition of
 * the loss, clipped, then the rule, whose moments are kept as intervals from the first step to the
 * last. Each step is compared with one from the same parameters.
 */
final class LabelTreeStepProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();
  private static final int STEPS = 20;

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
      @ForAll @IntRange(max = 4) int mostTargets,
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
    if (weights != null && data.below(2) == 0) {
      weights[data.below(batch)] = 0;
    }
    LabelTreeOracle.Loss expectedLoss = new LabelTreeOracle.Loss(mean, weights);
    TwoLevelStepOracle oracle = new TwoLevelStepOracle(first, rule, maxNorm);
    try (FloatTensor x = FloatTensor.zeros(batch, features);
        FloatTensor rowWeights = FloatTensor.zeros(batch);
        LabelTree layer =
            LabelTree.builder(features, classOf.length)
                .classes(ClassAssignment.of(classOf))
                .workers(kernels.workers())
                .build(
                    FloatTensor.of(first.W1(), features, classes),
                    FloatTensor.of(first.b1(), classes),
                    FloatTensor.of(first.W2(), classes, features, slots),
                    FloatTensor.of(first.b2(), classes, slots))) {
      Loss loss = mean ? Loss.mean() : Loss.sum();
      if (weights != null) {
        rowWeights.copyFrom(weights);
        loss = loss.withRowWeights(rowWeights);
      }
      for (int step = 0; step < STEPS; step++) {
        float[] newX = data.floats(Numbers.GAUSSIAN, (long) batch * features);
        SoftmaxProblem p = first.with(newX, first.targets(), layer);
        int[][] targets = new int[batch][];
        for (int row = 0; row < batch; row++) {
          targets[row] = data.indices(data.below(mostTargets + 1), classOf.length);
        }
        x.copyFrom(newX);
        step(p, layer, x, targets, loss, expectedLoss, oracle, "step " + step + ", ");
      }
    }
  }

  private static void step(
      SoftmaxProblem p,
      LabelTree layer,
      FloatTensor x,
      int[][] targets,
      Loss loss,
      LabelTreeOracle.Loss expectedLoss,
      TwoLevelStepOracle oracle,
      String name) {
    LabelTreeOracle tree = new LabelTreeOracle(p, targets);
    SoftmaxOracle.Gradients g = tree.gradients(expectedLoss);
    try (FloatTensor gradX = FloatTensor.zeros(p.batch(), p.features());
        SparseRows rows = SparseRows.of(List.of(targets))) {
      double value = layer.step(x, rows, loss, oracle.optimizer(), gradX);
      assertEquals(g.loss(), value, g.lossBound() + 1e-12, name + "loss");
      g.x().assertHolds(name + "gradX", gradX);
    }
    int[] counted =
        IntStream.range(0, p.batch())
            .filter(row -> expectedLoss.weights() == null || expectedLoss.weights()[row] != 0)
            .toArray();
    boolean[] touched = new boolean[p.classes()];
    for (int c = 0; c < touched.length; c++) {
      int number = c;
      touched[c] = Arrays.stream(counted).anyMatch(row -> tree.opens(row, number));
    }
    oracle.assertHolds(name, p, g, counted.length > 0, touched, layer);
  }
}
