// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.internal.search.LogOdds;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.tensors.Check;

/**
 * Turns the scores of a {@link Mixture} into probabilities. Knots map scores to log odds, with
 * linear interpolation. Below the first knot, log odds fall as scores do; above the last one, they
 * are constant.
 *
 * <p>A second step may change the log odds of all outputs of a row by those of its two best ones,
 * because an output that is far ahead is right more often than one that competes:
 *
 * <pre>{@code
 * log odds = slope * own + first * of the best + second * of the next + intercept
 * }</pre>
 *
 * <p>A last step may map these log odds to others by knots of its own: the two steps before it fit
 * lines through rows that tell much and rows that tell nothing.
 *
 * <p>{@link Mixture#fit} finds all steps. Immutable.
 */
public final class ScoreCalibration {
  /** The bound on numbers in a file keeps sums and differences finite. */
  static final float LARGEST = 1e6f;

  /**
   * The most knots of a calibration; a fit makes {@link #KNOTS} + {@link #PARTS} + 1 and {@link
   * #HALVINGS}.
   */
  static final int MOST_KNOTS = 1000;

  /** The knots of a fit, with equal numbers of right samples as far as possible. */
  private static final int KNOTS = 24;

  /** The most log odds of a score above the mean of its knot, if that has enough samples. */
  private static final double WIDEST = 0.5;

  /** A knot that ends at {@link #WIDEST} has at least one of this many parts of the samples. */
  private static final int PARTS = 200;

  private static final int FEWEST_OF_A_KNOT = 20;

  /** The fall of a fit's log odds below its first knot, until the slope is 1 again. */
  private static final double DEEPEST = 1e4;

  /**
   * The knots of {@link #fallingToZero}, each with half of the score and of the odds of the next.
   */
  private static final int HALVINGS = 24;

  /** The least score of the first knot for which it is halved. */
  private static final float SMALLEST = 1e-20f;

  /** The log odds from which on, and from a little below, a log probability is 0 as a float. */
  private static final double SURE = 100;

  /** A bound on the relative rounding error of log odds. */
  private static final double ROUNDING = 1e-5;

  private final float[] scores;
  private final float[] logOdds;

  /** The second step, or null. */
  private final TopTwoCalibration topTwo;

  /** The last step, from log odds to log odds, or null. */
  private final ScoreCalibration last;

  private ScoreCalibration(
      float[] scores, float[] logOdds, TopTwoCalibration topTwo, ScoreCalibration last) {
    this.scores = scores;
    this.logOdds = logOdds;
    this.topTwo = topTwo;
    this.last = last;
  }

  /**
   * Returns a calibration by knots.
   *
   * @param scores the scores of 1 to 1000 knots, strictly ascending
   * @param logOdds the log odds of the knots, ascending, not necessarily strictly
   * @throws IllegalArgumentException if numbers are not in order, or beyond 1e6, or not as many
   */
  public static ScoreCalibration of(float[] scores, float[] logOdds) {
    requireNonNull(scores, "scores");
    Check.length("logOdds", scores.length, requireNonNull(logOdds, "logOdds").length);
    if (scores.length < 1 || scores.length > MOST_KNOTS) {
      throw new IllegalArgumentException(
          "scores: expected 1 to " + MOST_KNOTS + " knots but was " + scores.length);
    }
    for (int knot = 0; knot < scores.length; knot++) {
      require("scores", scores, knot, knot == 0 || scores[knot] > scores[knot - 1]);
      require("logOdds", logOdds, knot, knot == 0 || logOdds[knot] >= logOdds[knot - 1]);
    }
    return new ScoreCalibration(scores.clone(), logOdds.clone(), null, null);
  }

  private static void require(String name, float[] numbers, int knot, boolean isInOrder) {
    if (!(Math.abs(numbers[knot]) <= LARGEST && isInOrder)) {
      throw new IllegalArgumentException(
          name + ": element " + knot + " = " + numbers[knot] + " is out of place");
    }
  }

  /**
   * Returns the same knots, with a second step.
   *
   * @param slope at least 0.01; all numbers at most 1000 and at least -1000
   * @throws IllegalArgumentException if a number is outside
   */
  public ScoreCalibration withTopTwo(double slope, double first, double second, double intercept) {
    return with(new TopTwoCalibration(slope, first, second, intercept).check());
  }

  ScoreCalibration with(TopTwoCalibration step) {
    return new ScoreCalibration(scores, logOdds, step, last);
  }

  /** Returns the same steps with a last one, whose scores are the log odds by those before. */
  ScoreCalibration then(ScoreCalibration step) {
    return new ScoreCalibration(scores, logOdds, topTwo, step);
  }

  /** Returns the scores of the knots, followed by their log odds. */
  float[] knots() {
    float[] both = Arrays.copyOf(scores, 2 * scores.length);
    System.arraycopy(logOdds, 0, both, scores.length, scores.length);
    return both;
  }

  TopTwoCalibration topTwoOrNull() {
    return topTwo;
  }

  ScoreCalibration lastOrNull() {
    return last;
  }

  /** Returns the logarithm of the probability of a score, by the knots. */
  float logProbability(double score) {
    return (float) LogOdds.logProbability(logOdds(score));
  }

  double[] logProbabilities(double... ofScores) {
    return Arrays.stream(ofScores).map(this::logProbability).toArray();
  }

  private double logOdds(double score) {
    int last = scores.length - 1;
    if (score <= scores[0]) {
      return logOdds[0] + score - scores[0];
    }
    if (score >= scores[last]) {
      return logOdds[last];
    }
    int found = Arrays.binarySearch(scores, (float) score);
    int to = Math.max(1, found >= 0 ? found : -found - 1);
    double part = (score - scores[to - 1]) / (scores[to] - scores[to - 1]);
    return logOdds[to - 1] + Math.max(0, Math.min(1, part)) * (logOdds[to] - logOdds[to - 1]);
  }

  /**
   * Returns a score that no output of at least some probability is below; infinite if there is
   * none.
   *
   * @param offsets see {@link #offsets}
   */
  double leastScore(double probability, double[] offsets) {
    double odds = Math.log(probability) - Math.log1p(-probability);
    if (last != null) {
      odds = last.leastScore(odds);
    }
    double least = topTwo == null ? odds : Double.POSITIVE_INFINITY;
    for (double offset : offsets) {
      least = Math.min(least, topTwo.least(odds, offset));
    }
    return leastScore(least);
  }

  /** Returns a lower bound of the scores of outputs with at least some log odds by the knots. */
  double leastScore(double odds) {
    double least = odds == Double.POSITIVE_INFINITY ? SURE : odds - ROUNDING * (1 + Math.abs(odds));
    if (least <= logOdds[0]) {
      return scores[0] + least - logOdds[0];
    }
    for (int knot = 1; knot < scores.length; knot++) {
      if (least <= logOdds[knot]) {
        return scores[knot - 1]; // not interpolated, which would be rounded
      }
    }
    return Double.POSITIVE_INFINITY;
  }

  /**
   * Returns the number that the second step adds to the log odds of each row; nothing without that
   * step.
   */
  double[] offsets(SearchResult topTwoOfRows) {
    double[] offsets = new double[topTwo == null ? 0 : topTwoOfRows.outputs().length];
    for (int row = 0; row < offsets.length; row++) {
      float[] sums = topTwoOfRows.logProbabilities()[row];
      if (sums.length > 0) {
        int found = Math.min(2, sums.length);
        double[] best =
            IntStream.range(0, found).mapToDouble(i -> logProbability(sums[i])).toArray();
        offsets[row] = topTwo.offset(best, logProbabilitiesOfZeros(topTwoOfRows.leftOut()[row]));
      }
    }
    return offsets;
  }

  /**
   * Returns the first outputs that were found, with log probabilities in place of scores.
   *
   * @param offsets see {@link #offsets}
   * @param most outputs of a row
   * @param least log probability
   */
  SearchResult calibrated(SearchResult found, double[] offsets, int most, double least) {
    int[][] outputs = found.outputs().clone();
    float[][] logProbabilities = new float[outputs.length][];
    for (int row = 0; row < outputs.length; row++) {
      float[] ofRow = new float[Math.min(most, outputs[row].length)];
      int count = 0;
      while (count < ofRow.length) {
        double score = found.logProbabilities()[row][count];
        float logProbability = logProbability(score, topTwo == null ? 0 : offsets[row]);
        if (logProbability < least) {
          break; // so are all others
        }
        ofRow[count++] = logProbability;
      }
      outputs[row] = Arrays.copyOf(outputs[row], count);
      logProbabilities[row] = Arrays.copyOf(ofRow, count);
    }
    return new SearchResult(
        outputs,
        logProbabilities,
        found.openedClasses(),
        found.undefined(),
        found.filteredOut(),
        found.leftOut());
  }

  /** Returns the logarithm of the probability of a score by all steps. */
  private float logProbability(double score, double offset) {
    double odds = logOddsBeforeLast(score, offset);
    return last == null ? (float) LogOdds.logProbability(odds) : last.logProbability(odds);
  }

  /**
   * Returns the log odds of a score by all steps but the last.
   *
   * @param offset of the row, see {@link #offsets}; without a second step, it does not matter
   */
  double logOddsBeforeLast(double score, double offset) {
    return topTwo == null ? logOdds(score) : topTwo.logOdds(logProbability(score), offset);
  }

  /** Returns the log probabilities of outputs that a row leaves out; at most two matter. */
  double[] logProbabilitiesOfZeros(int leftOut) {
    return logProbabilities(new double[Math.min(2, leftOut)]);
  }

  /** Returns a calibration that gives all outputs with score 0 the log odds of some samples. */
  static ScoreCalibration constant(long count, long right) {
    return of(new float[1], new float[] {new Bin(count, right, 0).odds()});
  }

  /**
   * Returns the knots for samples. Too few samples follow the regression {@code intercept + sum /
   * unit}; samples whose scores say nothing get constant log odds.
   *
   * @param sums the score of each sample
   * @param right whether each is right
   * @param intercept the log odds of score 0 by the regression
   * @param unit the difference of scores that changes these log odds by 1
   */
  static ScoreCalibration fit(double[] sums, boolean[] right, double intercept, double unit) {
    if (sums.length < 2 * FEWEST_OF_A_KNOT) {
      double min = Arrays.stream(sums).min().orElse(0);
      double max = Arrays.stream(sums).max().orElse(0);
      float[] ends = (float) min < (float) max ? new float[] {(float) min, (float) max} : one(min);
      float[] logOdds = new float[ends.length];
      for (int end = 0; end < ends.length; end++) {
        logOdds[end] = (float) Math.max(-LARGEST, Math.min(LARGEST, intercept + ends[end] / unit));
      }
      return of(ends, logOdds);
    }
    Deque<Bin> bins = bins(sums, right, unit);
    return bins.size() < 2
        ? of(one(Arrays.stream(sums).min().getAsDouble()), knots(bins, Bin::odds))
        : of(knots(bins, Bin::score), knots(bins, Bin::odds));
  }

  private static float[] one(double number) {
    return new float[] {(float) number};
  }

  /**
   * Returns the calibration with a first knot so far below that log odds fall by 1 for each unit.
   */
  ScoreCalibration falling(double unit) {
    double fall = Math.min(DEEPEST, (LARGEST + scores[0]) / unit);
    float score = (float) (scores[0] - fall * unit);
    float odds = (float) (logOdds[0] - fall);
    if (unit == 1 || !(score < scores[0]) || !(odds >= -LARGEST)) {
      return this;
    }
    float[] more = new float[1 + scores.length];
    float[] oddsOfMore = new float[more.length];
    more[0] = score;
    oddsOfMore[0] = odds;
    System.arraycopy(scores, 0, more, 1, scores.length);
    System.arraycopy(logOdds, 0, oddsOfMore, 1, scores.length);
    return of(more, oddsOfMore);
  }

  private static Deque<Bin> bins(double[] sums, boolean[] right, double unit) {
    double[][] sorted = new double[sums.length][];
    int all = 0;
    for (int s = 0; s < sums.length; s++) {
      sorted[s] = new double[] {sums[s], right[s] ? 1 : 0};
      all += right[s] ? 1 : 0;
    }
    Arrays.sort(sorted, Comparator.comparingDouble(sample -> sample[0]));
    int each = Math.max(FEWEST_OF_A_KNOT, all / KNOTS);
    int fewest = Math.max(FEWEST_OF_A_KNOT, sorted.length / PARTS);
    Deque<Bin> bins = new ArrayDeque<>();
    Bin next = new Bin(0, 0, 0);
    for (double[] sample : sorted) {
      // Rare outputs have low scores, of which few are right: they share no knot with others.
      if (next.count >= fewest && sample[0] - next.score() > WIDEST * unit) {
        add(next, bins);
        next = new Bin(0, 0, 0);
      }
      next = next.plus(new Bin(1, sample[1], sample[0]));
      if (next.right >= each) {
        add(next, bins);
        next = new Bin(0, 0, 0);
      }
    }
    if (next.count > 0) {
      add(bins.isEmpty() ? next : next.plus(bins.removeLast()), bins);
    }
    return bins;
  }

  /**
   * Returns the calibration with knots below the first one, if that has a positive score: the
   * probability falls to 0 with the score, as it does below the first knot where scores are
   * logarithms.
   */
  ScoreCalibration fallingToZero() {
    if (!(scores[0] > SMALLEST)) {
      return this;
    }
    float[] more = new float[HALVINGS + scores.length];
    float[] oddsOfMore = new float[more.length];
    for (int knot = 0; knot < HALVINGS; knot++) {
      int halvings = HALVINGS - knot;
      more[knot] = (float) Math.scalb((double) scores[0], -halvings);
      oddsOfMore[knot] = (float) (logOdds[0] - halvings * Math.log(2));
    }
    System.arraycopy(scores, 0, more, HALVINGS, scores.length);
    System.arraycopy(logOdds, 0, oddsOfMore, HALVINGS, scores.length);
    return of(more, oddsOfMore);
  }

  /** Adds a bin, merged with those before that have no smaller part of right samples. */
  private static void add(Bin bin, Deque<Bin> bins) {
    Bin merged = bin;
    while (!bins.isEmpty()
        && (bins.getLast().odds() >= merged.odds() || bins.getLast().score() >= merged.score())) {
      merged = merged.plus(bins.removeLast());
    }
    bins.add(merged);
  }

  private static float[] knots(Deque<Bin> bins, ToDoubleFunction<Bin> number) {
    float[] knots = new float[bins.size()];
    int knot = 0;
    for (Bin bin : bins) {
      knots[knot++] = (float) number.applyAsDouble(bin);
    }
    return knots;
  }

  /** A group of samples with similar scores. */
  private record Bin(double count, double right, double scores) {
    Bin plus(Bin that) {
      return new Bin(count + that.count, right + that.right, scores + that.scores);
    }

    float score() {
      return (float) (scores / count);
    }

    float odds() {
      return (float) Math.log((right + 0.5) / (count - right + 0.5));
    }
  }
}
