// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.RankingProblem;

/**
 * Rankings of random label trees are the full sort of all log probabilities, filtered or not, with
 * ties everywhere: the layers are those of {@link RankingProblem}.
 */
final class LabelTreeProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  /** Exponents of two that the second level is multiplied by: log probabilities to -10^8. */
  @Provide
  Arbitrary<Integer> spreads() {
    return Arbitraries.of(-6, 0, 0, 0, 3, 10, 20);
  }

  private static float[][] all(LabelTree layer, FloatTensor x) {
    float[][] result = new float[(int) x.shape().dim(0)][layer.outputs()];
    try (FloatTensor all = layer.logProbabilities(x)) {
      for (int row = 0; row < result.length; row++) {
        all.get((long) row * layer.outputs(), result[row], 0, layer.outputs());
      }
    }
    return result;
  }

  private static void check(Ranking ranking, int row, int[] expected, float[] logProbabilities) {
    assertTrue(ranking.isDefined(row));
    assertArrayEquals(expected, ranking.outputs(row), "row " + row);
    for (int rank = 0; rank < expected.length; rank++) {
      float wanted = logProbabilities[expected[rank]];
      assertEquals(wanted, ranking.logProbability(row, rank), 0, "rank " + rank);
    }
  }

  @Property
  void rankings(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(max = 20) int batch,
      @ForAll @IntRange(min = 1, max = 40) int classes,
      @ForAll @IntRange(max = 80) int more,
      @ForAll @IntRange(max = 3) int peak,
      @ForAll("spreads") int spread,
      @ForAll @IntRange(min = 1, max = 130) int k,
      @ForAll long seed) {
    Data data = new Data(seed);
    RankingProblem.Layer parts = new RankingProblem.Layer(batch, classes, more, peak, spread, data);
    try (LabelTree layer =
            parts.build(
                LabelTree.builder(parts.features(), parts.outputs())
                        .classes(parts.assignment())
                        .workers(kernels.workers())
                    ::build);
        FloatTensor x = parts.x();
        RandomFilter filter = RandomFilter.of(parts.assignment(), batch, data)) {
      float[][] expected = all(layer, x);
      Ranking ranking = layer.topK(x, k);
      double p = Math.exp(data.between(-12, 0));
      Ranking likely = layer.atLeast(x, p);
      Ranking filtered = layer.topK(x, k, filter.filter());
      Ranking filteredLikely = layer.atLeast(x, p, filter.filter());
      for (int row = 0; row < batch; row++) {
        int[] sorted = RankingProblem.sorted(expected[row]);
        check(ranking, row, Arrays.copyOf(sorted, Math.min(k, sorted.length)), expected[row]);
        float[] ofRow = expected[row];
        int[] above =
            Arrays.stream(sorted).filter(output -> ofRow[output] >= (float) Math.log(p)).toArray();
        check(likely, row, above, ofRow);
        int[] allowed = filter.of(row, sorted);
        check(filtered, row, Arrays.copyOf(allowed, Math.min(k, allowed.length)), ofRow);
        check(filteredLikely, row, filter.of(row, above), ofRow);
        for (Ranking some : List.of(filtered, filteredLikely)) {
          assertEquals(allowed.length == 0, some.isFilteredOut(row));
          int most = filter.classes(parts.assignment(), row);
          assertTrue(some.openedClasses(row) <= most, "opened " + some.openedClasses(row));
        }
      }
    }
  }

  /** A row with a NaN that was looked at has no ranking, and every other row has the right one. */
  @Property
  void nanIsFoundOrNotLookedAt(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(min = 1, max = 12) int classes,
      @ForAll @IntRange(max = 40) int more,
      @ForAll @IntRange(min = 1, max = 20) int k,
      @ForAll long seed) {
    Data data = new Data(seed);
    RankingProblem.Layer parts = new RankingProblem.Layer(4, classes, more, 1, 0, data);
    try (LabelTree layer =
            parts.build(
                LabelTree.builder(parts.features(), parts.outputs())
                        .classes(parts.assignment())
                        .workers(kernels.workers())
                    ::build);
        FloatTensor x = parts.x()) {
      int bad = data.below(parts.outputs());
      int badClass = parts.assignment().classOf(bad);
      layer.b2().set(Float.NaN, badClass, parts.assignment().slotOf(bad));
      boolean noX = data.below(2) == 0;
      if (noX) {
        x.set(Float.NaN, 0, 0);
      }
      float[][] expected = all(layer, x);
      Ranking ranking = layer.topK(x, k);
      for (int row = 0; row < 4; row++) {
        if (ranking.isDefined(row)) {
          assertFalse(row == 0 && noX);
          // The NaN was not looked at: nothing of its class could be in the ranking.
          float[] others = expected[row].clone();
          for (int output = 0; output < others.length; output++) {
            if (parts.assignment().classOf(output) == badClass) {
              others[output] = Float.NEGATIVE_INFINITY;
            }
          }
          int[] sorted = RankingProblem.sorted(others);
          check(ranking, row, Arrays.copyOf(sorted, Math.min(k, sorted.length)), others);
        } else {
          assertEquals(0, ranking.size(row));
        }
      }
    }
  }
}
