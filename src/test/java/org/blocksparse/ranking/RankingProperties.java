// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.RankingProblem;
import org.blocksparse.testing.RankingProblem.Sizes;
import org.blocksparse.testing.RankingProblem.Wanted;

/**
 * Rankings of random layers equal the full sort of all log probabilities, and draws lie where the
 * distribution puts them. Numbers are small integers times powers of two: products are exact
 * whatever their shape, so the full sort has the same bits, and ties are everywhere.
 */
final class RankingProperties {
  @Provide
  Arbitrary<Sizes> sizes() {
    return Sizes.of(20);
  }

  @Provide
  Arbitrary<Sizes> fewRows() {
    return Sizes.of(5);
  }

  @Property
  void topK(
      @ForAll("sizes") Sizes sizes,
      @ForAll @IntRange(min = 1, max = 130) int k,
      @ForAll long seed) {
    try (RankingProblem<HierarchicalSoftmax> problem =
        RankingProblem.softmax(sizes, new Data(seed))) {
      Ranking ranking = problem.layer.topK(problem.x, k);
      assertEquals(sizes.batch(), ranking.batch());
      for (int row = 0; row < sizes.batch(); row++) {
        problem.check(ranking, row, Wanted.best(k));
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
    try (RankingProblem<HierarchicalSoftmax> problem =
        RankingProblem.softmax(sizes.withSpread(0), data)) {
      problem.poison(data);
      Ranking best = problem.layer.topK(problem.x, k);
      double p = Math.exp(data.between(-12, 0));
      Ranking likely = problem.layer.atLeast(problem.x, p);
      double mass = data.below(9) == 0 ? 1 : data.between(0.001f, 1);
      Ranking nucleus = problem.layer.topP(problem.x, mass);
      for (int row = 0; row < sizes.batch(); row++) {
        problem.checkPoisoned(best, row, Wanted.best(k));
        problem.checkPoisoned(likely, row, Wanted.atLeast(p));
        problem.checkPoisoned(nucleus, row, Wanted.ofMass(mass));
      }
    }
  }

  @Property
  void atLeastAndTopP(@ForAll("sizes") Sizes sizes, @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<HierarchicalSoftmax> problem = RankingProblem.softmax(sizes, data)) {
      double p = Math.exp(data.between(-12, 0));
      Ranking likely = problem.layer.atLeast(problem.x, p);
      double mass = data.below(9) == 0 ? 1 : data.between(0.001f, 1);
      Ranking nucleus = problem.layer.topP(problem.x, mass);
      for (int row = 0; row < sizes.batch(); row++) {
        problem.check(likely, row, Wanted.atLeast(p));
        problem.check(nucleus, row, Wanted.ofMass(mass));
      }
    }
  }

  /** A generator that records its numbers. */
  private static final class Noting implements RandomGenerator {
    final RandomGenerator random;
    final List<Double> drawn = new ArrayList<>();

    Noting(long seed) {
      random = new SplittableRandom(seed);
    }

    @Override
    public long nextLong() {
      return random.nextLong();
    }

    @Override
    public double nextDouble() {
      drawn.add(random.nextDouble());
      return drawn.get(drawn.size() - 1);
    }
  }

  @Property
  void sample(
      @ForAll("sizes") Sizes sizes,
      @ForAll @DoubleRange(min = 0.25, max = 4) double temperature,
      @ForAll long seed) {
    try (RankingProblem<HierarchicalSoftmax> problem =
        RankingProblem.softmax(sizes, new Data(seed))) {
      Noting random = new Noting(seed);
      int[] outputs = problem.layer.sample(problem.x, temperature, random, Filter.without());
      assertEquals(sizes.batch(), outputs.length);
      assertEquals(2 * sizes.batch(), random.drawn.size(), "asked twice for each row");
      for (int row = 0; row < sizes.batch(); row++) {
        problem.checkDrawn(
            row,
            outputs[row],
            random.drawn.get(row),
            random.drawn.get(sizes.batch() + row),
            temperature);
      }
    }
  }

  /** Draws with some NaN are right, or are refused for a reason. */
  @Property
  void sampleWithNaN(@ForAll("fewRows") Sizes sizes, @ForAll long seed) {
    Data data = new Data(seed);
    try (RankingProblem<HierarchicalSoftmax> problem =
        RankingProblem.softmax(sizes.withSpread(0), data)) {
      problem.poison(data);
      Noting random = new Noting(seed);
      int[] outputs;
      try {
        outputs = problem.layer.sample(problem.x, random);
      } catch (ArithmeticException e) {
        assertTrue(problem.mayRefuseToDraw(random.drawn), "there is a draw for each row");
        return;
      }
      for (int row = 0; row < sizes.batch(); row++) {
        problem.checkPoisonedDraw(
            row, outputs[row], random.drawn.get(row), random.drawn.get(sizes.batch() + row));
      }
    }
  }
}
