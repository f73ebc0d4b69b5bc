// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.UnknownIds;
import org.blocksparse.internal.search.LogisticRegression;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;

/**
 * Finds the weights of a mixture's scorers and its calibration; see {@link Mixture#fit(List)}.
 *
 * <p>The samples are the first {@value #FIRST_ANSWERS} answers of each scorer to each row, with the
 * scores of all scorers. A logistic regression on scores in units of each scorer's deviation gives
 * the weights. While a weight is negative, the regression is repeated without the lowest one. Knots
 * ({@link ScoreCalibration}) and the two best answers of a row ({@link TopTwoCalibration}) then
 * calibrate the sums, and other knots what these leave.
 *
 * <p>Each row costs two searches of each scorer: one for its first answers, and one for the scores
 * of the answers of all. The regressions take time linear in the samples.
 */
final class MixtureFit {
  /** The number of each scorer's best outputs for a row that become samples. */
  private static final int FIRST_ANSWERS = 20;

  /** With fewer right samples, a last step would show chance. */
  private static final int FEWEST_FOR_A_LAST_STEP = 100;

  /** The relative deviation that rounding gives to scores that are all the same. */
  private static final double ROUNDING = 1e-12;

  private final Mixture mixture;
  private final int scorers;
  private final LogisticRegression samples;

  /** The number of samples up to the end of each row. */
  private final List<Integer> ends = new ArrayList<>();

  /** The number of outputs of each row to which sparse weights give score 0, where that matters. */
  private final List<Integer> leftOut = new ArrayList<>();

  /** The number of right outputs of all rows. */
  private long rights;

  /** Creates a fit for the scorers of a mixture, whose weights and calibration do not matter. */
  MixtureFit(Mixture mixture) {
    this.mixture = mixture;
    this.scorers = mixture.search().scorers();
    this.samples = new LogisticRegression(scorers);
  }

  /** Adds the first answers to the rows of a fold. */
  void add(Mixture.Fold fold) {
    MixtureSearch search = fold.like().search();
    List<SparseRows> x = fold.x();
    SparseRows targets = fold.targets();
    String expected = mixture.search().kinds();
    if (!search.kinds().equals(expected)) {
      throw new IllegalArgumentException(
          "like: expected " + expected + " but was " + search.kinds());
    }
    int rows = search.requireRows(x);
    CsrRows.from(targets).requireRows("targets", rows);
    List<Ranking> first = new ArrayList<>();
    for (int scorer = 0; scorer < scorers; scorer++) {
      Ranking ranking = search.topK(scorer, x, FIRST_ANSWERS, Filter.without());
      for (int row = 0; row < rows; row++) {
        if (!ranking.isDefined(row)) {
          throw new IllegalArgumentException(
              "x: row " + row + " has no ranking, since a score of a scorer is NaN");
        }
      }
      first.add(ranking);
    }
    List<int[]> answers = new ArrayList<>();
    int most = 1;
    for (int row = 0; row < rows; row++) {
      int each = row;
      int[] ofRow =
          first.stream()
              .flatMapToInt(ranking -> IntStream.of(ranking.outputs(each)))
              .sorted()
              .distinct()
              .toArray();
      answers.add(ofRow);
      most = Math.max(most, ofRow.length);
    }
    double[][] all = new double[rows][];
    for (int row = 0; row < rows; row++) {
      all[row] = new double[answers.get(row).length * scorers];
    }
    try (SparseRows only = SparseRows.of(answers)) {
      for (int scorer = 0; scorer < scorers; scorer++) {
        // Sparse weights may have fewer outputs than others.
        Filter filter = Filter.only(only).withUnknownIds(UnknownIds.ignore());
        put(search, scorer, search.topK(scorer, x, most, filter), answers, all);
      }
    }
    for (int row = 0; row < rows; row++) {
      int outputs = mixture.outputs();
      int[] wanted =
          IntStream.of(targets.indices(row))
              .filter(output -> output < outputs)
              .sorted()
              .distinct()
              .toArray();
      rights += wanted.length;
      for (int i = 0; i < answers.get(row).length; i++) {
        boolean isRight = Arrays.binarySearch(wanted, answers.get(row)[i]) >= 0;
        samples.add(all[row], i * scorers, isRight);
      }
      ends.add(samples.size());
      leftOut.add(leftOut(search, x, row, first, all[row]));
    }
  }

  /** Puts the scores of a scorer into those of all scorers. */
  private void put(
      MixtureSearch search, int scorer, Ranking ranking, List<int[]> answers, double[][] all) {
    for (int row = 0; row < all.length; row++) {
      double otherwise = search.scaled(scorer, (float) search.otherwise(scorer));
      for (int i = 0; i < answers.get(row).length; i++) {
        all[row][i * scorers + scorer] = otherwise;
      }
      for (int rank = 0; rank < ranking.size(row); rank++) {
        int i = Arrays.binarySearch(answers.get(row), ranking.output(row, rank));
        all[row][i * scorers + scorer] = search.scaled(scorer, ranking.score(row, rank));
      }
    }
  }

  /**
   * Returns the number of outputs of a row that all sparse weights give score 0: they compete with
   * the answers if fewer than two of these have no negative score.
   *
   * @param scores the scores of the answers of the row
   */
  private int leftOut(
      MixtureSearch search, List<SparseRows> x, int row, List<Ranking> first, double[] scores) {
    int[] sparse = IntStream.range(0, scorers).filter(search::isSparse).toArray();
    long good =
        IntStream.range(0, scores.length / scorers)
            .filter(i -> IntStream.of(sparse).allMatch(s -> scores[i * scorers + s] >= 0))
            .count();
    if (sparse.length == 0 || good >= 2) {
      return 0;
    }
    BitSet scored = new BitSet();
    for (int scorer : sparse) {
      if (first.get(scorer).size(row) < FIRST_ANSWERS) {
        IntStream.of(first.get(scorer).outputs(row)).forEach(scored::set);
      } else {
        List<SparseRows> one = x.stream().map(rows -> rows.slice(row, row + 1)).toList();
        try {
          Ranking ranking = search.topK(scorer, one, mixture.outputs(), Filter.without());
          IntStream.of(ranking.outputs(0)).forEach(scored::set);
        } finally {
          one.forEach(SparseRows::close);
        }
      }
    }
    return mixture.outputs() - scored.cardinality();
  }

  /** Returns the mixture with weights and calibration for all rows that were added. */
  Mixture fit() {
    Spread[] spreads = new Spread[scorers];
    Arrays.setAll(spreads, scorer -> Spread.of(samples, scorer));
    LogisticRegression finite = samples.changed((i, score) -> spreads[i].bounded(score));
    LogisticRegression standard = finite.changed((i, score) -> spreads[i].standard(score));
    boolean[] uses = new boolean[scorers];
    Arrays.fill(uses, true);
    double[] found = fit(standard, uses);
    for (int worst = worst(found); worst >= 0; worst = worst(found)) {
      uses[worst] = false;
      found = fit(standard, uses);
    }
    double[] weights = new double[scorers];
    double intercept = found[scorers];
    for (int scorer = 0; scorer < scorers; scorer++) {
      weights[scorer] = found[scorer] / spreads[scorer].unit;
      intercept -= weights[scorer] * spreads[scorer].mean;
    }
    if (Arrays.stream(weights).allMatch(weight -> weight == 0)) {
      long all = (long) ends.size() * mixture.outputs();
      return mixture.with(new float[scorers], ScoreCalibration.constant(all, rights));
    }
    double unit = unit(finite, weights);
    float[] scaled = new float[scorers];
    for (int scorer = 0; scorer < scorers; scorer++) {
      scaled[scorer] = (float) (weights[scorer] * unit);
    }
    return mixture.with(scaled, calibration(finite, scaled, intercept, unit));
  }

  /** Returns a factor of at most 1 that brings weights and sums within the limits of files. */
  private static double unit(LogisticRegression samples, double[] weights) {
    double largest = Arrays.stream(weights).max().getAsDouble();
    for (int s = 0; s < samples.size(); s++) {
      largest = Math.max(largest, Math.abs(samples.sum(s, weights)));
    }
    return Math.min(1, ScoreCalibration.LARGEST / largest);
  }

  private ScoreCalibration calibration(
      LogisticRegression finite, float[] weights, double intercept, double unit) {
    double[] exact = new double[scorers];
    Arrays.setAll(exact, scorer -> weights[scorer]);
    double[] sums = new double[finite.size()];
    boolean[] right = new boolean[sums.length];
    double most = ScoreCalibration.LARGEST;
    for (int s = 0; s < sums.length; s++) {
      sums[s] = Math.max(-most, Math.min(most, finite.sum(s, exact)));
      right[s] = finite.isRight(s);
    }
    ScoreCalibration knots = ScoreCalibration.fit(sums, right, intercept, unit);
    if (mixture.search().addsProbabilities()) {
      knots = knots.fallingToZero();
    }
    knots = knots.falling(unit);
    boolean leavesOut = mixture.with(weights, null).search().leavesOut();
    double[][] ofRows = new double[ends.size()][];
    double[][] others = new double[ofRows.length][];
    boolean[][] areRight = new boolean[ofRows.length][];
    int begin = 0;
    for (int row = 0; row < ofRows.length; row++) {
      int end = ends.get(row);
      ofRows[row] = knots.logProbabilities(Arrays.copyOfRange(sums, begin, end));
      others[row] = knots.logProbabilitiesOfZeros(leavesOut ? leftOut.get(row) : 0);
      areRight[row] = Arrays.copyOfRange(right, begin, end);
      begin = end;
    }
    TopTwoCalibration topTwo = TopTwoCalibration.fitOrNull(ofRows, others, areRight);
    ScoreCalibration steps = knots.with(topTwo);
    if (IntStream.range(0, right.length).filter(s -> right[s]).count() < FEWEST_FOR_A_LAST_STEP) {
      return steps;
    }
    begin = 0;
    for (int row = 0; row < ofRows.length; row++) {
      double offset = topTwo == null ? 0 : topTwo.offset(ofRows[row], others[row]);
      for (; begin < ends.get(row); begin++) {
        sums[begin] = steps.logOddsBeforeLast(sums[begin], offset);
      }
    }
    return steps.then(ScoreCalibration.fit(sums, right, 0, 1));
  }

  /**
   * The spread of a scorer's scores.
   *
   * @param min the smallest finite score
   * @param max the largest finite score
   * @param unit the standard deviation; the size of scores that are all the same
   */
  private record Spread(double min, double max, double mean, double unit) {
    static Spread of(LogisticRegression samples, int scorer) {
      DoubleSummaryStatistics all = samples.finite(scorer).summaryStatistics();
      if (all.getCount() == 0) {
        return new Spread(0, 0, 0, 1);
      }
      double mean = all.getAverage();
      double variance = samples.finite(scorer).map(s -> (s - mean) * (s - mean)).sum();
      double deviation = Math.sqrt(variance / all.getCount());
      double size = Math.max(Math.abs(all.getMin()), Math.abs(all.getMax()));
      double unit = deviation > ROUNDING * size ? deviation : size > 0 ? size : 1;
      return new Spread(all.getMin(), all.getMax(), mean, unit);
    }

    double bounded(double score) {
      return Math.max(min, Math.min(max, score));
    }

    double standard(double score) {
      return (score - mean) / unit;
    }
  }

  /** Returns the scorer with the lowest weight, if that is negative; -1 if none is. */
  private static int worst(double[] found) {
    int worst = 0;
    for (int scorer = 1; scorer < found.length - 1; scorer++) {
      worst = found[scorer] < found[worst] ? scorer : worst;
    }
    return found[worst] < 0 ? worst : -1;
  }

  /** Returns the weights, followed by the intercept; 0 for scorers that are not used. */
  private double[] fit(LogisticRegression standard, boolean[] uses) {
    double[] start = new double[scorers + 1];
    for (int scorer = 0; scorer < scorers; scorer++) {
      start[scorer] = uses[scorer] ? 1.0 / scorers : 0;
    }
    return standard.fit(start, uses);
  }
}
