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
import org.blocksparse.IntTensor;
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
 * Twenty steps with every option against float64: gradients by the definition of the loss, clipped,
 * then the rule, whose moments are kept as intervals from the first step to the last. Each step is
 * compared with one from the same parameters.
 */
final class TwoLevelStepProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();
  private static final int STEPS = 20;
  private static final int IGNORED = -1;

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  /** What one step of a layer does. */
  private record Step(
      SoftmaxOracle.Gradients gradients, double loss, boolean anyRowCounts, boolean[] touched) {}

  /** Makes a step on a batch of the problem, which has the current parameters. */
  private interface Stepping<L> {
    Step step(L layer, SoftmaxProblem p, FloatTensor x, FloatTensor gradX, TwoLevelStepOracle o);
  }

  /** The options of a run of steps. */
  private record Options(Data data, SoftmaxProblem first, Kind kind, Loss loss, float... weights) {
    static Options of(Data data, int[] sizes, Kind kind, boolean mean) {
      int[] classOf = data.classOf(sizes[2], sizes[3]);
      int slots = ClassAssignment.of(classOf).slots();
      SoftmaxProblem first = data.softmax(sizes[0], sizes[1], slots, 1, classOf);
      Loss loss = mean ? Loss.mean() : Loss.sum();
      if (data.below(2) == 0) {
        return new Options(data, first, kind, loss, (float[]) null);
      }
      float[] weights = data.floats(Numbers.GAUSSIAN, sizes[0]);
      FloatTensor ofRows = FloatTensor.of(weights, sizes[0]);
      return new Options(data, first, kind, loss.withRowWeights(ofRows), weights);
    }

    <L extends TwoLevelLayer<?>> void run(
        KernelsUnderTest kernels, LayerBuilder<?, L> builder, Stepping<L> stepping) {
      SoftmaxProblem p = first;
      Rule rule = Rule.random(kind, data);
      float maxNorm =
          data.below(2) == 0 ? Float.POSITIVE_INFINITY : (float) Math.exp(data.between(-4, 1));
      TwoLevelStepOracle oracle = new TwoLevelStepOracle(first, rule, maxNorm);
      try (FloatTensor x = FloatTensor.zeros(p.batch(), p.features());
          FloatTensor gradX = FloatTensor.zeros(p.batch(), p.features());
          L layer = p.layer(builder.workers(kernels.workers()))) {
        for (int number = 0; number < STEPS; number++) {
          x.copyFrom(data.floats(Numbers.GAUSSIAN, (long) p.batch() * p.features()));
          int[] targets = data.indices(p.batch(), p.outputs());
          SoftmaxProblem now = p.with(x.toArray(), targets, layer);
          Step step = stepping.step(layer, now, x, gradX, oracle);
          String name = "step " + number + ", ";
          SoftmaxOracle.Gradients g = step.gradients;
          assertEquals(g.loss(), step.loss, g.lossBound() + 1e-12, name + "loss");
          g.x().assertHolds(name + "gradX", gradX);
          oracle.assertHolds(name, now, g, step.anyRowCounts, step.touched, layer);
        }
      }
    }
  }

  @Property
  void ofASoftmax(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll Kind kind,
      @ForAll @IntRange(min = 1, max = 12) int batch,
      @ForAll @IntRange(min = 1, max = 6) int features,
      @ForAll @IntRange(min = 1, max = 5) int classes,
      @ForAll @IntRange(max = 12) int more,
      @ForAll boolean mean,
      @ForAll long seed) {
    Data data = new Data(seed);
    Options options = Options.of(data, new int[] {batch, features, classes, more}, kind, mean);
    float smoothing = data.below(2) == 0 ? 0 : data.between(0, 0.9f);
    boolean ignoring = data.below(2) == 0;
    Loss smooth = options.loss.withSmoothing(smoothing);
    Loss loss = ignoring ? smooth.withIgnored(IGNORED) : smooth;
    SoftmaxOracle.Loss expected =
        new SoftmaxOracle.Loss(mean, ignoring ? IGNORED : null, smoothing, options.weights);
    options.run(
        kernels,
        HierarchicalSoftmax.builder(features, options.first.outputs()),
        (layer, p, x, gradX, oracle) -> {
          boolean[] touched = new boolean[classes];
          for (int row = 0; row < batch; row++) {
            if (row > 0 && ignoring && data.below(3) == 0) { // the first row counts
              p.targets()[row] = IGNORED;
            } else {
              touched[p.classOf()[p.targets()[row]]] = true;
            }
          }
          SoftmaxOracle.Gradients gradients = new SoftmaxOracle(p, false).gradients(expected);
          try (IntTensor targets = IntTensor.of(p.targets(), batch)) {
            double value = layer.step(x, targets, loss, oracle.optimizer(), gradX);
            return new Step(gradients, value, true, touched);
          }
        });
  }

  @Property
  void ofALabelTree(
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
    Options options = Options.of(data, new int[] {batch, features, classes, more}, kind, mean);
    float[] weights = options.weights;
    if (weights != null && data.below(2) == 0) {
      int row = data.below(batch);
      weights[row] = 0;
      options.loss.rowWeights().set(0, row);
    }
    LabelTreeOracle.Loss expected = new LabelTreeOracle.Loss(mean, weights);
    options.run(
        kernels,
        LabelTree.builder(features, options.first.outputs()),
        (layer, p, x, gradX, oracle) -> {
          int[][] targets = new int[batch][];
          Arrays.setAll(targets, row -> data.indices(data.below(mostTargets + 1), p.outputs()));
          LabelTreeOracle tree = new LabelTreeOracle(p, targets);
          int[] counted =
              IntStream.range(0, batch)
                  .filter(row -> weights == null || weights[row] != 0)
                  .toArray();
          boolean[] touched = new boolean[classes];
          for (int c = 0; c < classes; c++) {
            int number = c;
            touched[c] = Arrays.stream(counted).anyMatch(row -> tree.opens(row, number));
          }
          try (SparseRows rows = SparseRows.of(List.of(targets))) {
            double value = layer.step(x, rows, options.loss, oracle.optimizer(), gradX);
            return new Step(tree.gradients(expected), value, counted.length > 0, touched);
          }
        });
  }
}
