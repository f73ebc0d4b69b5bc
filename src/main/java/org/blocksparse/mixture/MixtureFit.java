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
 * at least 0: a bound of a score would not bound the sum otherwise. The calibration is isotonic.
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

  /** Samples that the beginning counts as. */
  private static final double PRIOR = 1;

  private static final int MOST_STEPS = 100;

  /** Scores of samples are at least this, so that sums are finite. */
  private static final double LOWEST = -1e4;

  /** And at most this, so that no sum is beyond what calibrations hold. */
  private static final double HIGHEST =
      (double) ScoreCalibration.LARGEST / MixtureBuilder.MOST_SCORERS;

  private final Mixture mixture;
  private final int scorers;
  private double[] scores = new double[1 << 10];
  private boolean[] right = new boolean[1 << 10];
  private int size;

  /** A fit for the scorers of a mixture, whose weights and calibration do not matter. */
  public MixtureFit(Mixture mixture) {
    this.mixture = requireNonNull(mixture, "mixture");
    this.scorers = mixture.search().scorers();
  }

  /**
   * Adds rows that the scorers have not been trained on.
   *
   * @param x rows for each scorer, or one for all scorers
   * @param targets the right outputs of each row; others than the mixture has are ignored
   * @throws IllegalArgumentException if a score is NaN; as {@link Mixture#topK(List, int)}
   */
  public MixtureFit add(List<SparseRows> x, SparseRows targets) {
    int rows = mixture.search().requireRows(x);
    TENSORS.requireRows(requireNonNull(targets, "targets"), "targets", rows);
    List<Ranking> first = new ArrayList<>();
    for (int scorer = 0; scorer < scorers; scorer++) {
      first.add(mixture.search().topK(scorer, x, FIRST_ANSWERS, Filter.without()));
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
        put(scorer, mixture.search().topK(scorer, x, most, filter), answers, all);
      }
    }
    for (int row = 0; row < rows; row++) {
      int[] wanted = IntStream.of(targets.indices(row)).sorted().toArray();
      for (int i = 0; i < answers.get(row).length; i++) {
        boolean isRight = Arrays.binarySearch(wanted, answers.get(row)[i]) >= 0;
        add(all[row], i * scorers, isRight);
      }
    }
    return this;
  }

  /** Puts the scores of a scorer into those of all. */
  private void put(int scorer, Ranking ranking, List<int[]> answers, double[][] all) {
    for (int row = 0; row < all.length; row++) {
      if (!ranking.isDefined(row)) {
        throw new IllegalArgumentException(
            "x: row " + row + " has no ranking, since a score of a scorer is NaN");
      }
      double otherwise =
          mixture.search().scaled(scorer, (float) mixture.search().otherwise(scorer));
      for (int i = 0; i < answers.get(row).length; i++) {
        put(all[row], i, scorer, otherwise);
      }
      for (int rank = 0; rank < ranking.size(row); rank++) {
        int i = Arrays.binarySearch(answers.get(row), ranking.output(row, rank));
        double score = mixture.search().scaled(scorer, ranking.score(row, rank));
        put(all[row], i, scorer, score);
      }
    }
  }

  private void put(double[] ofRow, int answer, int scorer, double score) {
    ofRow[answer * scorers + scorer] = Math.max(LOWEST, Math.min(HIGHEST, score));
  }

  private void add(double[] from, int begin, boolean isRight) {
    if (size == right.length) {
      right = Arrays.copyOf(right, 2 * size);
    }
    if ((size + 1) * scorers > scores.length) {
      scores = Arrays.copyOf(scores, Math.max(2 * scores.length, (size + 1) * scorers));
    }
    System.arraycopy(from, begin, scores, size * scorers, scorers);
    right[size++] = isRight;
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
    double[] sums = new double[size];
    for (int s = 0; s < size; s++) {
      for (int scorer = 0; scorer < scorers; scorer++) {
        sums[s] += weights[scorer] * scores[s * scorers + scorer];
      }
    }
    boolean[] ofSamples = Arrays.copyOf(right, size);
    return mixture.with(weights, ScoreCalibration.fit(sums, ofSamples, found[scorers]).check());
  }

  /** The scorer with the lowest weight, if that is negative; -1 if none is. */
  private static int worst(double[] found) {
    int worst = 0;
    for (int scorer = 1; scorer < found.length - 1; scorer++) {
      worst = found[scorer] < found[worst] ? scorer : worst;
    }
    return found[worst] < 0 ? worst : -1;
  }

  /** Weights and then the intercept, by Newton's method; 0 for scorers that are not used. */
  private double[] fit(boolean[] uses) {
    int n = scorers + 1;
    double[] start = new double[n];
    for (int scorer = 0; scorer < scorers; scorer++) {
      start[scorer] = uses[scorer] ? 1.0 / scorers : 0;
    }
    double[] now = start.clone();
    for (int step = 0; step < MOST_STEPS; step++) {
      double[][] equations = new double[n][n + 1]; // curvature, and the gradient
      double before = loss(now, start, equations);
      for (int i = 0; i < n; i++) {
        if (i < scorers && !uses[i]) {
          Arrays.fill(equations[i], 0);
          equations[i][i] = 1;
        }
      }
      double[] direction = solve(equations);
      double part = 1;
      double[] next = ahead(now, direction, part);
      double after = loss(next, start, null);
      while (!(after < before) && part > 0x1p-60) {
        part /= 2;
        next = ahead(now, direction, part);
        after = loss(next, start, null);
      }
      if (!(after < before)) {
        break;
      }
      now = next;
      if (before - after <= 1e-9 * before) {
        break;
      }
    }
    return now;
  }

  private static double[] ahead(double[] from, double[] direction, double part) {
    double[] to = from.clone();
    for (int i = 0; i < to.length; i++) {
      to[i] -= part * direction[i];
    }
    return to;
  }

  /** The loss; adds to equations, unless they are null. */
  private double loss(double[] at, double[] start, double[][] equations) {
    int n = at.length;
    double loss = 0;
    for (int i = 0; i < n; i++) {
      loss += PRIOR * (at[i] - start[i]) * (at[i] - start[i]) / 2;
      if (equations != null) {
        equations[i][i] += PRIOR;
        equations[i][n] += PRIOR * (at[i] - start[i]);
      }
    }
    double[] x = new double[n];
    x[n - 1] = 1;
    for (int s = 0; s < size; s++) {
      System.arraycopy(scores, s * scorers, x, 0, scorers);
      double logOdds = 0;
      for (int i = 0; i < n; i++) {
        logOdds += at[i] * x[i];
      }
      double wrong = right[s] ? -logOdds : logOdds;
      loss += Math.max(wrong, 0) + Math.log1p(Math.exp(-Math.abs(wrong)));
      if (equations != null) {
        double probability = 1 / (1 + Math.exp(-logOdds));
        double error = probability - (right[s] ? 1 : 0);
        double curvature = probability * (1 - probability);
        for (int i = 0; i < n; i++) {
          equations[i][n] += error * x[i];
          for (int j = 0; j < n; j++) {
            equations[i][j] += curvature * x[i] * x[j];
          }
        }
      }
    }
    return loss;
  }

  /** Solves equations that are positive definite, by elimination. */
  private static double[] solve(double[][] equations) {
    int n = equations.length;
    for (int i = 0; i < n; i++) {
      for (int j = i + 1; j < n; j++) {
        double factor = equations[j][i] / equations[i][i];
        for (int k = i; k <= n; k++) {
          equations[j][k] -= factor * equations[i][k];
        }
      }
    }
    double[] solution = new double[n];
    for (int i = n - 1; i >= 0; i--) {
      double sum = equations[i][n];
      for (int k = i + 1; k < n; k++) {
        sum -= equations[i][k] * solution[k];
      }
      solution[i] = sum / equations[i][i];
    }
    return solution;
  }
}
