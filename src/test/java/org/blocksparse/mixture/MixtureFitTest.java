// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Fits of mixtures of sparse weights that score each row separately. */
final class MixtureFitTest {
  private static final int ROWS = 1000;

  @TempDir Path folder;

  /** Returns sparse weights in which row r of the data is feature r, which has any scores. */
  private static SparseWeights table(double[][] scores, double factor) {
    int outputs = scores[0].length;
    int[] all = IntStream.range(0, outputs).toArray();
    List<int[]> indices = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    for (double[] row : scores) {
      indices.add(all);
      float[] ofRow = new float[outputs];
      for (int output = 0; output < outputs; output++) {
        ofRow[output] = (float) (factor * row[output]);
      }
      values.add(ofRow);
    }
    try (SparseRows weights = SparseRows.of(indices, values)) {
      return SparseWeights.of(weights, outputs);
    }
  }

  private static SparseRows rows(int begin, int end) {
    return SparseRows.of(IntStream.range(begin, end).mapToObj(i -> new int[] {i}).toList());
  }

  /** Answers, and two scorers that predict them weakly and strongly. */
  private record Data(int[] right, double[][] weak, double[][] strong) {
    static Data random(int rows, int outputs, SplittableRandom random) {
      Data data = new Data(new int[rows], new double[rows][outputs], new double[rows][outputs]);
      for (int row = 0; row < rows; row++) {
        data.right[row] = random.nextInt(outputs);
        for (int output = 0; output < outputs; output++) {
          boolean isRight = output == data.right[row];
          data.weak[row][output] = random.nextDouble() + random.nextDouble() + (isRight ? .3 : 0);
          data.strong[row][output] = random.nextDouble() + random.nextDouble() + (isRight ? 1 : 0);
        }
      }
      return data;
    }

    SparseRows targets(int begin, int end) {
      return SparseRows.of(
          IntStream.range(begin, end).mapToObj(row -> new int[] {right[row]}).toList());
    }

    double precision(Ranking ranking, int begin) {
      return IntStream.range(0, ranking.batch())
              .filter(row -> ranking.output(row, 0) == right[begin + row])
              .count()
          / (double) ranking.batch();
    }
  }

  private static double meanOfFirst(Ranking ranking) {
    return IntStream.range(0, ranking.batch())
        .mapToDouble(row -> ranking.probability(row, 0))
        .average()
        .getAsDouble();
  }

  /** If one weight exceeds the limit of weights, all are scaled. */
  @ParameterizedTest
  @CsvSource({
    "1, 1e-6",
    "1, 1e-3",
    "1, 1e3",
    "1, 1e6",
    "1e-6, 1",
    "1e6, 1",
    "1e-6, 1e-6",
    "1e6, 1e6",
    "1e-6, 1e6",
    "1e-12, 1e-12",
    "1e12, 1e-12"
  })
  void theUnitOfScoresDoesNotMatter(double ofWeak, double ofStrong) {
    Data data = Data.random(2 * ROWS, 8, new SplittableRandom(Seed.value()));
    try (SparseWeights weak = table(data.weak, 1);
        SparseWeights strong = table(data.strong, 1);
        SparseWeights scaledWeak = table(data.weak, ofWeak);
        SparseWeights scaledStrong = table(data.strong, ofStrong);
        SparseRows x = rows(0, ROWS);
        SparseRows test = rows(ROWS, 2 * ROWS);
        SparseRows targets = data.targets(0, ROWS)) {
      Mixture wanted = fit(weak, strong, x, targets);
      Mixture fitted = fit(scaledWeak, scaledStrong, x, targets);
      Ranking best = wanted.topK(List.of(test), 8);
      Ranking scaled = fitted.topK(List.of(test), 8);
      double precision = data.precision(best, ROWS);
      assertTrue(precision > 0.6, () -> "" + precision);
      assertEquals(precision, data.precision(scaled, ROWS), 0.003, fitted::toString);
      assertEquals(precision, meanOfFirst(best), 0.06);
      for (int row = 0; row < ROWS; row++) {
        for (int rank : new int[] {0, 1, 7}) {
          assertEquals(
              best.probability(row, rank), scaled.probability(row, rank), 2e-3, fitted::toString);
        }
      }
      assertEquals(likely(wanted, test), likely(fitted, test), 5);
    }
  }

  /** Half of the samples are right: too few for knots, which could hide a wrong intercept. */
  @ParameterizedTest
  @ValueSource(doubles = {1e-3, 1, 1e3})
  void fewSamplesHaveTheMeanOfTheirRights(double unit) {
    double[][] scores = {{5, 4, 1, 2}, {2, 5, 4, 3}, {3, 4, 6, 5}, {4, 3, 2, 4.5}};
    List<int[]> right =
        List.of(new int[] {0, 3}, new int[] {1, 2}, new int[] {2}, new int[] {3, 0, 1});
    try (SparseWeights weights = table(scores, unit);
        SparseRows x = rows(0, 4);
        SparseRows targets = SparseRows.of(right)) {
      Mixture fitted = Mixture.builder().weights("w", weights).build().fit(List.of(x), targets);
      ScoreCalibration calibration = fitted.calibration().orElseThrow();
      double sum =
          Arrays.stream(scores)
              .flatMapToDouble(Arrays::stream)
              .map(
                  score -> Math.exp(calibration.logProbability(fitted.weights()[0] * unit * score)))
              .sum();
      assertEquals(8, sum, 0.1, fitted::toString);
    }
  }

  private static int likely(Mixture mixture, SparseRows x) {
    Ranking ranking = mixture.atLeast(List.of(x), 0.5, Filter.without());
    return IntStream.range(0, ROWS).map(ranking::size).sum();
  }

  private static Mixture fit(
      SparseWeights weak, SparseWeights strong, SparseRows x, SparseRows targets) {
    return Mixture.builder()
        .weights("weak", weak)
        .weights("strong", strong)
        .build()
        .fit(List.of(x), targets);
  }

  /** The weights of the other scorers are those of a fit without it, and so is the calibration. */
  @Test
  void aScorerThatMisleadsIsLeftOut() {
    Data data = Data.random(ROWS, 8, new SplittableRandom(Seed.value()));
    double[][] opposite = new double[ROWS][];
    for (int row = 0; row < ROWS; row++) {
      double[] strong = data.strong[row];
      double[] weak = data.weak[row];
      opposite[row] = IntStream.range(0, 8).mapToDouble(o -> 3 - strong[o] + weak[o] / 2).toArray();
    }
    try (SparseWeights weak = table(data.weak, 1);
        SparseWeights misleads = table(opposite, 1);
        SparseRows x = rows(0, ROWS);
        SparseRows targets = data.targets(0, ROWS)) {
      Mixture alone = Mixture.builder().weights("weak", weak).build().fit(List.of(x), targets);
      Mixture both =
          Mixture.builder()
              .weights("misleads", misleads)
              .weights("weak", weak)
              .build()
              .fit(List.of(x), targets);
      assertEquals(0, both.weights()[0]);
      assertEquals(alone.weights()[0], both.weights()[1], 0.02f * alone.weights()[0]);
      Ranking wanted = alone.topK(List.of(x), 8);
      Ranking actual = both.topK(List.of(x), 8);
      for (int row = 0; row < ROWS; row++) {
        assertArrayEquals(wanted.outputs(row), actual.outputs(row));
        assertEquals(wanted.probability(row, 0), actual.probability(row, 0), 0.02);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 30})
  void withoutAScorerThatHelpsAllOutputsHaveTheBaseRate(int outputs) throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    double[][] scores = new double[ROWS][outputs];
    List<int[]> targets = new ArrayList<>();
    long rights = 0;
    for (int row = 0; row < ROWS; row++) {
      int right = random.nextInt(outputs);
      for (int output = 0; output < outputs; output++) {
        scores[row][output] = -2 - random.nextDouble() - (output == right ? 0.5 : 0);
      }
      boolean hasTarget = row % 3 > 0;
      rights += hasTarget ? 1 : 0;
      targets.add(hasTarget ? new int[] {right, right, 10_000} : new int[0]);
    }
    Path file = folder.resolve("constant");
    try (SparseWeights opposite = table(scores, 1);
        SparseRows x = rows(0, ROWS);
        SparseRows right = SparseRows.of(targets)) {
      Mixture fitted = Mixture.builder().weights("a", opposite).build().fit(List.of(x), right);
      assertArrayEquals(new float[1], fitted.weights());
      fitted.save(file);
      double rate = rights / (double) ROWS / outputs;
      try (Mixture loaded = Mixture.load(file)) {
        for (Mixture mixture : List.of(fitted, loaded)) {
          Ranking ranking = mixture.topK(List.of(x), 2, Filter.without(0));
          Ranking likely = mixture.atLeast(List.of(x), rate * 0.9, Filter.without());
          for (int row = 0; row < ROWS; row++) {
            assertArrayEquals(
                IntStream.range(1, Math.min(3, outputs)).toArray(), ranking.outputs(row));
            assertEquals(rate, ranking.probability(row, 0), 2e-3);
            assertEquals(outputs, likely.size(row));
          }
          assertEquals(0, mixture.atLeast(List.of(x), rate * 1.1, Filter.without()).size(0));
          try (SparseRows one = x.slice(0, 1)) {
            assertEquals(0, mixture.explain(List.of(one), 1).get(0).contribution());
          }
        }
      }
      Mixture other = Mixture.builder().weights("a", opposite).build();
      Mixture same = other.withWeights(fitted.weights(), fitted.calibration().orElseThrow());
      assertEquals(rate, same.topK(List.of(x), 1).probability(0, 0), 2e-3);
      assertThrows(IllegalArgumentException.class, () -> other.withWeights(0));
    }
  }

  /** Few samples give a regression without knots. */
  @Test
  void fewSamplesFollowTheirRegression() {
    double[] sums = {-3, 1, 2, 5};
    ScoreCalibration few = ScoreCalibration.fit(sums, new boolean[4], -2, 0.5).falling(0.5);
    for (double sum : new double[] {-4, -3, 0, 5}) {
      double odds = -2 + sum / 0.5;
      assertEquals(-Math.log1p(Math.exp(-odds)), few.logProbability(sum), 1e-4);
    }
    boolean[] right = new boolean[100];
    Arrays.fill(right, 0, 25, true);
    double[] same = new double[100];
    Arrays.fill(same, -7);
    ScoreCalibration constant = ScoreCalibration.fit(same, right, 99, 1);
    assertEquals(0.25, Math.exp(constant.logProbability(-7)), 0.01);
    assertEquals(0.25, Math.exp(constant.logProbability(7)), 0.01);
  }

  /** Two outputs compete only if as many are left out; here all sums are negative. */
  @ParameterizedTest
  @CsvSource({"2, 2", "3, 3", "300, 300", "3, 2", "300, 299", "300, 298", "300, 1", "5, 0"})
  void onlyOutputsThatAreLeftOutCompete(int outputs, int scored) {
    double[][] scores = new double[1][outputs];
    for (int output = 0; output < scored; output++) {
      scores[0][output] = -1 - output;
    }
    ScoreCalibration knots = ScoreCalibration.of(new float[] {-400, 0}, new float[] {-400, 0});
    try (SparseWeights weights = table(scores, 1);
        SparseRows x = rows(0, 1)) {
      Mixture mixture =
          Mixture.builder()
              .weights("w", weights)
              .build()
              .withWeights(new float[] {1}, knots.withTopTwo(1, 0.5, -0.25, 0));
      double[] all = Arrays.stream(scores[0]).map(s -> -s).sorted().map(s -> -s).toArray();
      double first = Math.max(-16, all[0]);
      double second = Math.max(-16, all[Math.min(1, outputs - 1)]);
      for (int k : new int[] {1, 2, outputs}) {
        Ranking ranking = mixture.topK(List.of(x), k);
        assertEquals(Math.min(k, scored), ranking.size(0));
        for (int rank = 0; rank < ranking.size(0); rank++) {
          double odds = -1 - rank + 0.5 * first - 0.25 * second;
          double wanted = Math.min(odds, 0) - Math.log1p(Math.exp(-Math.abs(odds)));
          assertEquals(wanted, ranking.logProbability(0, rank), 1e-4 * (1 + Math.abs(wanted)));
        }
        Ranking last = mixture.topK(List.of(x), k, Filter.only(0));
        assertEquals(Math.min(1, scored), last.size(0));
        if (scored > 0) {
          assertEquals(ranking.logProbability(0, 0), last.logProbability(0, 0));
        }
      }
    }
  }

  /**
   * The fit knows which outputs compete, too: probabilities of rows with negative sums are right.
   */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 40})
  void probabilitiesHoldWhereAllScoresAreNegative(int outputs) {
    SplittableRandom random = new SplittableRandom(Seed.value());
    int rows = 4 * ROWS;
    double[][] scores = new double[rows][outputs];
    int[] right = new int[rows];
    int[] answers = new int[2];
    int[] rights = new int[2];
    List<int[]> targets = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      int competes = row % 2; // the second output is as good as the first, or not
      int best = random.nextInt(outputs);
      for (int output = 0; output < outputs; output++) {
        scores[row][output] = -5 - random.nextDouble();
      }
      scores[row][best] = -1;
      int other = (best + 1) % outputs;
      scores[row][other] = competes == 1 ? -1.1 : scores[row][other];
      boolean isBest = random.nextInt(100) < (competes == 1 ? 50 : 95);
      right[row] = isBest ? best : other;
      answers[competes]++;
      rights[competes] += isBest ? 1 : 0;
      targets.add(new int[] {right[row]});
    }
    try (SparseWeights weights = table(scores, 1);
        SparseRows x = rows(0, rows);
        SparseRows all = SparseRows.of(targets)) {
      Ranking ranking =
          Mixture.builder().weights("w", weights).build().fit(List.of(x), all).topK(List.of(x), 1);
      double mean = 0;
      for (int row = 0; row < rows; row += 2) {
        mean += ranking.probability(row, 0) / answers[0];
      }
      assertEquals(rights[0] / (double) answers[0], mean, 0.05, "where none competes");
    }
  }

  /** The order of a row's targets, and repeated ones, change nothing. */
  @Test
  void targetsMayHaveAnyOrder() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Data data = Data.random(ROWS, 30, random);
    List<int[]> sorted = new ArrayList<>();
    List<int[]> shuffled = new ArrayList<>();
    for (int row = 0; row < ROWS; row++) {
      int right = data.right[row];
      int[] targets =
          IntStream.of(right, (right + 7) % 30, (right + 15) % 30, (right + 22) % 30)
              .sorted()
              .toArray();
      sorted.add(targets);
      shuffled.add(new int[] {targets[3], targets[0], targets[2], targets[1], targets[0]});
      for (int target : targets) {
        data.weak[row][target] += 1;
      }
    }
    try (SparseWeights weak = table(data.weak, 1);
        SparseWeights strong = table(data.strong, 1);
        SparseRows x = rows(0, ROWS);
        SparseRows inOrder = SparseRows.of(sorted);
        SparseRows inAnyOrder = SparseRows.of(shuffled)) {
      Mixture wanted = fit(weak, strong, x, inOrder);
      Mixture fitted = fit(weak, strong, x, inAnyOrder);
      assertArrayEquals(wanted.weights(), fitted.weights());
      assertArrayEquals(
          wanted.calibration().orElseThrow().knots(), fitted.calibration().orElseThrow().knots());
    }
  }
}
