// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.testing.BagOracle;
import org.blocksparse.testing.BagProblem;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.OptimizerOracle;
import org.blocksparse.testing.OptimizerOracle.Kind;
import org.blocksparse.testing.OptimizerOracle.Rule;

/**
 * Twenty steps of a bag with every option against float64: gradients by their definition, clipped
 * row by row of the table, then the rule, whose moments are kept as intervals from the first step
 * to the last. Each step is compared with one from the same table.
 */
final class EmbeddingBagStepProperties {
  private static final List<KernelsUnderTest> KERNELS =
      List.copyOf(KernelsUnderTest.instructionSets());

  private static final int STEPS = 20;

  /** Six roundings of the rule itself: square, sum, root, sum, quotient, difference. */
  private static final int ROUNDINGS = 6;

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  /** Returns sizes, some so large that gradients are cut into parts. */
  @Provide
  Arbitrary<Integer> largest() {
    return Arbitraries.of(0, 1, 2, 5, 5, 5, 17, 17, 600);
  }

  @Property
  void twentySteps(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll Kind kind,
      @ForAll Mode mode,
      @ForAll @IntRange(min = 1, max = 30) int vocabulary,
      @ForAll @IntRange(min = 1, max = 70) int features,
      @ForAll @IntRange(max = 8) int bags,
      @ForAll("largest") int largest,
      @ForAll long seed) {
    Data data = new Data(seed);
    Rule rule = Rule.random(kind, data);
    float maxNorm =
        data.below(2) == 0 ? Float.POSITIVE_INFINITY : (float) Math.exp(data.between(-4, 2));
    OptimizerOracle expected = new OptimizerOracle(rule, vocabulary * features);
    try (FloatTensor table =
            FloatTensor.of(
                data.floats(Numbers.GAUSSIAN, (long) vocabulary * features), vocabulary, features);
        EmbeddingBag layer =
            EmbeddingBag.builder(vocabulary, features)
                .mode(mode)
                .workers(kernels.workers())
                .build(table)) {
      for (int step = 0; step < STEPS; step++) {
        int[] sizes = data.indices(bags, largest + 1);
        BagProblem p =
            BagProblem.random(
                    data, Numbers.GAUSSIAN, data.below(2) == 0, vocabulary, features, sizes)
                .withTable(table.toArray());
        try (SparseRows rows = p.rows();
            FloatTensor gradOut = FloatTensor.of(p.gradOut(), bags, features)) {
          layer.step(rows, gradOut, rule.optimizer().withMaxNorm(maxNorm));
        }
        BagOracle oracle = new BagOracle(p, mode);
        Bounded gradient = OptimizerOracle.clipped(oracle.gradTable(), features, maxNorm);
        expected
            .step(p.table(), gradient, oracle.touched(), ROUNDINGS)
            .assertHolds("sizes " + Arrays.toString(sizes) + ", step " + step, table);
      }
    }
  }
}
