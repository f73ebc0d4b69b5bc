// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.ranking.RandomFilter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.RankingProblem;
import org.blocksparse.testing.RankingProblem.Sizes;
import org.blocksparse.testing.RankingProblem.Wanted;

/**
 * Rankings of random label trees equal the full sort of all log probabilities, filtered or not,
 * with ties everywhere: the layers are those of {@link RankingProblem}.
 */
final class LabelTreeProperties {
  @Provide
  Arbitrary<Sizes> sizes() {
    return Sizes.of(20);
  }

  @Property
  void rankings(
      @ForAll("sizes") Sizes sizes,
      @ForAll @IntRange(min = 1, max = 130) int k,
      @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<LabelTree> problem = RankingProblem.tree(sizes, data);
        RandomFilter filter = RandomFilter.of(problem.layer.assignment(), sizes.batch(), data)) {
      LabelTree layer = problem.layer;
      Ranking ranking = layer.topK(problem.x, k);
      double p = Math.exp(data.between(-12, 0));
      Ranking likely = layer.atLeast(problem.x, p);
      Ranking filtered = layer.topK(problem.x, k, filter.filter());
      Ranking filteredLikely = layer.atLeast(problem.x, p, filter.filter());
      for (int row = 0; row < sizes.batch(); row++) {
        problem.check(ranking, row, Wanted.best(k));
        problem.check(likely, row, Wanted.atLeast(p));
        int[] allowed = filter.of(row, problem.sorted(row));
        problem.assertRanks(filtered, row, Arrays.copyOf(allowed, Math.min(k, allowed.length)));
        problem.assertRanks(filteredLikely, row, filter.of(row, likely.outputs(row)));
        for (Ranking some : List.of(filtered, filteredLikely)) {
          assertEquals(allowed.length == 0, some.isFilteredOut(row));
          int most = filter.classes(layer.assignment(), row);
          assertTrue(some.openedClasses(row) <= most, "opened " + some.openedClasses(row));
        }
      }
    }
  }

  /** NaN in rows and in classes; classes that stay closed do not matter. */
  @Property
  void withNaN(
      @ForAll("sizes") Sizes sizes,
      @ForAll @IntRange(min = 1, max = 130) int k,
      @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<LabelTree> problem = RankingProblem.tree(sizes.withSpread(0), data)) {
      problem.poison(data);
      Ranking best = problem.layer.topK(problem.x, k);
      double p = Math.exp(data.between(-12, 0));
      Ranking likely = problem.layer.atLeast(problem.x, p);
      for (int row = 0; row < sizes.batch(); row++) {
        problem.checkPoisoned(best, row, Wanted.best(k));
        problem.checkPoisoned(likely, row, Wanted.atLeast(p));
      }
    }
  }
}
