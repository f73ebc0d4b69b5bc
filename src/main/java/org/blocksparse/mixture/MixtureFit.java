// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;
import static org.blocksparse.internal.Access.TENSORS;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.UnknownIds;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;

/**
 * Finds the weights of a mixture's scorers and its calibration, from rows that the scorers have not
 * been trained on. The samples are the first answers of each scorer to each row, with the scores of
 * all scorers, and whether they are right. The weights are the likeliest of a logistic regression,
 * at least 0: a bound of a score would not bound the sum otherwise. The {@link ScoreCalibration} is
 * isotonic, and then in view of the two best outputs of a row.
 *
 * <pre>{@code
 * Mixture fitted = new MixtureFit(mixture).add(x, targets).add(otherX, otherTargets).fit();
 * }</pre>
 *
 * <p>Not safe for use by several threads.
 */
public final class MixtureFit {
  /** The answers of each scorer to a row that become samples. */
  private static final int FIRST_ANSWERS = 20;

  /** Scores of samples are at least this, so that sums are finite. */
  private static final double LOWEST = -1e4;

  /** And at most this, so that no sum is beyond what calibrations hold. */
  private static final double HIGHEST =
      (double) ScoreCalibration.LARGEST / MixtureBuilder.MOST_SCORERS;

  private final Mixture mixture;
  private final int scorers;
  private final LogisticRegression samples;

  /** How many samples there are after each row. */
  private final List<Integer> ends = new ArrayList<>();

  /** A fit for the scorers of a mixture, whose weights and calibration do not matter. */
  public MixtureFit(Mixture mixture) {
    this.mixture = requireNonNull(mixture, "mixture");
    this.scorers = mixture.search().scorers();
    this.samples = new LogisticRegression(scorers);
  }

  /**
   * Adds rows that the scorers have not been trained on.
   *
   * @param x rows for each scorer, or one for all scorers
   * @param targets the right outputs of each row; others than the mixture has are ignored
   * @throws IllegalArgumentException if a score is NaN; as {@link Mixture#topK(List, int)}
   */
  public MixtureFit add(List<SparseRows> x, SparseRows targets) {
    return add(mixture, x, targets);
  }

  /**
   * Adds rows that the scorers of a like mixture have not been trained on. For a cross-validation,
   * the mixture of this fit is trained on all rows, and a like one for each fold without that fold.
   *
   * @param like has scorers of the same names and classes in the same order, as many outputs, and
   *     also adds probabilities or not; its weights and calibration do not matter
   * @throws IllegalArgumentException if it differs; as {@link #add(List, SparseRows)}
   */
  public MixtureFit add(Mixture like, List<SparseRows> x, SparseRows targets) {
    MixtureSearch search = requireNonNull(like, "like").search();
    String expected = mixture.search().kinds();
    if (!search.kinds().equals(expected)) {
      throw new IllegalArgumentException(
          "like: expected " + expected + " but was " + search.kinds());
    }
    int rows = search.requireRows(x);
    TENSORS.requireRows(requireNonNull(targets, "targets"), "targets", rows);
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
      int[] wanted = IntStream.of(targets.indices(row)).sorted().toArray();
      for (int i = 0; i < answers.get(row).length; i++) {
        boolean isRight = Arrays.binarySearch(wanted, answers.get(row)[i]) >= 0;
        samples.add(all[row], i * scorers, isRight);
      }
      ends.add(samples.size());
    }
    return this;
  }

  /** Puts the scores of a scorer into those of all. */
  private void put(
      MixtureSearch search, int scorer, Ranking ranking, List<int[]> answers, double[][] all) {
    for (int row = 0; row < all.length; row++) {
      double otherwise = search.scaled(scorer, (float) search.otherwise(scorer));
      for (int i = 0; i < answers.get(row).length; i++) {
        put(all[row], i, scorer, otherwise);
      }
      for (int rank = 0; rank < ranking.size(row); rank++) {
        int i = Arrays.binarySearch(answers.get(row), ranking.output(row, rank));
        double score = search.scaled(scorer, ranking.score(row, rank));
        put(all[row], i, scorer, score);
      }
    }
  }

  private void put(double[] ofRow, int answer, int scorer, double score) {
    ofRow[answer * scorers + scorer] = Math.max(LOWEST, Math.min(HIGHEST, score));
  }

  /** The mixture with weights and calibration for all rows that were added. */
  public Mixture fit() {
    boolean[] uses = new boolean[scorers];
    Arrays.fill(uses, true);
    double[] found = fit(uses);
    for (int worst = worst(found); worst >= 0; worst = worst(found)) {
      uses[worst] = false;
      found = fit(uses);
    }
    float[] weights = new float[scorers];
    float max = 0;
    for (int scorer = 0; scorer < scorers; scorer++) {
      weights[scorer] = (float) Math.min(found[scorer], ScoreCalibration.LARGEST);
      max = Math.max(max, weights[scorer]);
    }
    if (max < 1e-6f) {
      Arrays.fill(weights, 1f / scorers);
    }
    return mixture.with(weights, calibration(weights, found[scorers]));
  }

  private ScoreCalibration calibration(float[] weights, double intercept) {
    double[] sums = new double[samples.size()];
    boolean[] right = new boolean[sums.length];
    double most = ScoreCalibration.LARGEST;
    for (int s = 0; s < sums.length; s++) {
      sums[s] = Math.max(-most, Math.min(most, samples.sum(s, weights)));
      right[s] = samples.isRight(s);
    }
    ScoreCalibration knots = ScoreCalibration.fit(sums, right, intercept);
    if (mixture.search().addsProbabilities()) {
      knots = knots.fallingToZero();
    }
    double[][] ofRows = new double[ends.size()][];
    boolean[][] areRight = new boolean[ofRows.length][];
    int begin = 0;
    for (int row = 0; row < ofRows.length; row++) {
      int end = ends.get(row);
      ofRows[row] = knots.logProbabilities(Arrays.copyOfRange(sums, begin, end));
      areRight[row] = Arrays.copyOfRange(right, begin, end);
      begin = end;
    }
    double[] others = knots.logProbabilities(mixture.with(weights, null).search().leftOut());
    return knots.with(TopTwoCalibration.fitOrNull(ofRows, others, areRight));
  }

  /** The scorer with the lowest weight, if that is negative; -1 if none is. */
  private static int worst(double[] found) {
    int worst = 0;
    for (int scorer = 1; scorer < found.length - 1; scorer++) {
      worst = found[scorer] < found[worst] ? scorer : worst;
    }
    return found[worst] < 0 ? worst : -1;
  }

  /** Weights and then the intercept; 0 for scorers that are not used. */
  private double[] fit(boolean[] uses) {
    double[] start = new double[scorers + 1];
    for (int scorer = 0; scorer < scorers; scorer++) {
      start[scorer] = uses[scorer] ? 1.0 / scorers : 0;
    }
    return samples.fit(start, uses);
  }
}
