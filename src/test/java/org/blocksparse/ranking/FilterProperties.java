// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.RankingProblem;
import org.blocksparse.testing.RankingProblem.Sizes;

/**
 * Filtered rankings of random layers equal the full sort without the outputs that are filtered out.
 */
final class FilterProperties {
  @Provide
  Arbitrary<Sizes> sizes() {
    return Sizes.of(12);
  }

  private static double logSum(float[] logProbabilities, int[] outputs) {
    double max = Double.NEGATIVE_INFINITY;
    for (int output : outputs) {
      max = Math.max(max, logProbabilities[output]);
    }
    double sum = 0;
    for (int output : outputs) {
      sum += Math.exp(logProbabilities[output] - max);
    }
    return max + Math.log(sum);
  }

  /** Returns the largest difference of two sums of rounded logarithms of that size. */
  private static double room(double log) {
    return 1e-5 + 0x1p-20 * Math.abs(log);
  }

  private static void checkRow(
      RankingProblem<?> problem, RandomFilter filtered, Ranking ranking, int row, int size) {
    int[] sorted = filtered.of(row, problem.sorted(row));
    assertArrayEquals(Arrays.copyOf(sorted, size), ranking.outputs(row), "row " + row);
    assertEquals(sorted.length == 0, ranking.isFilteredOut(row));
    assertTrue(ranking.isDefined(row));
    int opened = ranking.openedClasses(row);
    int most = filtered.classes(problem.layer.assignment(), row);
    assertTrue(opened <= most, opened + " classes opened of " + most);
    assertTrue(size == 0 || opened >= 1);
  }

  @Property
  void topK(
      @ForAll("sizes") Sizes sizes,
      @ForAll @IntRange(min = 1, max = 130) int k,
      @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<HierarchicalSoftmax> problem = RankingProblem.softmax(sizes, data);
        RandomFilter filtered = RandomFilter.of(problem.layer.assignment(), sizes.batch(), data)) {
      Ranking ranking = problem.layer.topK(problem.x, k, filtered.filter());
      Ranking divided = problem.layer.topK(problem.x, k, filtered.filter().withRenormalization());
      assertEquals(sizes.batch(), ranking.batch());
      for (int row = 0; row < sizes.batch(); row++) {
        int[] sorted = filtered.of(row, problem.sorted(row));
        int size = Math.min(k, sorted.length);
        checkRow(problem, filtered, ranking, row, size);
        checkRow(problem, filtered, divided, row, size);
        double logAllowed = logSum(problem.logProbabilities[row], sorted);
        for (int rank = 0; rank < size; rank++) {
          float logProbability = problem.logProbabilities[row][sorted[rank]];
          assertEquals(logProbability, ranking.logProbability(row, rank), 0);
          assertEquals(
              Math.min(0, logProbability - logAllowed),
              divided.logProbability(row, rank),
              room(logAllowed) + room(logProbability));
          assertTrue(divided.logProbability(row, rank) <= 0);
        }
      }
    }
  }

  @Property
  void atLeastAndTopP(
      @ForAll("sizes") Sizes sizes, @ForAll boolean renormalized, @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<HierarchicalSoftmax> problem = RankingProblem.softmax(sizes, data);
        RandomFilter filtered = RandomFilter.of(problem.layer.assignment(), sizes.batch(), data)) {
      Filter filter = renormalized ? filtered.filter().withRenormalization() : filtered.filter();
      double p = Math.exp(data.between(-12, 0));
      Ranking likely = problem.layer.atLeast(problem.x, p, filter);
      double mass = data.below(9) == 0 ? 1 : data.between(0.001f, 1);
      Ranking nucleus = problem.layer.topP(problem.x, mass, filter);
      for (int row = 0; row < sizes.batch(); row++) {
        float[] logs = problem.logProbabilities[row];
        int[] sorted = filtered.of(row, problem.sorted(row));
        double logAllowed = renormalized ? logSum(logs, sorted) : 0;
        // Both begin the sorted list; their text shows where they end.
        int above = likely.size(row);
        checkRow(problem, filtered, likely, row, above);
        float logP = (float) Math.log(p);
        double edge = renormalized ? room(logAllowed) + room(logP) : 0;
        assertTrue(above == 0 || likely.logProbability(row, above - 1) >= logP);
        if (above < sorted.length) {
          assertTrue(logs[sorted[above]] - logAllowed < logP + edge);
        }
        int fewest = nucleus.size(row);
        checkRow(problem, filtered, nucleus, row, fewest);
        double sum = 0;
        for (int rank = 0; rank < fewest; rank++) {
          assertTrue(sum < mass, "rank " + rank + " is one too many");
          sum += RankingProblem.largest(nucleus.logProbability(row, rank));
        }
        assertTrue(sum >= mass || fewest == sorted.length, sum + " of " + mass);
      }
    }
  }

  @Property
  void sample(@ForAll("sizes") Sizes sizes, @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<HierarchicalSoftmax> problem = RankingProblem.softmax(sizes, data);
        RandomFilter filtered = RandomFilter.of(problem.layer.assignment(), sizes.batch(), data)) {
      SplittableRandom random = new SplittableRandom(seed);
      for (int row = 0; row < sizes.batch(); row++) {
        if (filtered.allowed()[row].isEmpty()) {
          assertRejects(
              "filter: allows no output in row " + row,
              () -> problem.layer.sample(problem.x, 1, random, filtered.filter()));
          return;
        }
      }
      int[] drawn = problem.layer.sample(problem.x, 1, random, filtered.filter());
      for (int row = 0; row < sizes.batch(); row++) {
        assertTrue(filtered.allowed()[row].get(drawn[row]), "row " + row + ": " + drawn[row]);
      }
    }
  }
}
