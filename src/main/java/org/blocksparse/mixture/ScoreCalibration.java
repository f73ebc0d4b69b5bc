// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.function.ToDoubleFunction;
import org.blocksparse.internal.search.SearchResult;

/**
 * Turns scores into probabilities. Knots map scores to log odds, with linear interpolation. Below
 * the first knot, log odds fall as scores do; above the last one, they are constant.
 *
 * @param scores of the knots, ascending; shared and not to be changed
 * @param logOdds of the knots, ascending, not necessarily strictly; shared and not to be changed
 */
@SuppressWarnings("ArrayRecordComponent") // nobody compares them
record ScoreCalibration(float[] scores, float[] logOdds) {
  /** The bound on numbers in a file keeps sums and differences finite. */
  static final float LARGEST = 1e6f;

  /** The maximum in a file; a fit makes {@link #KNOTS} and one at most. */
  static final int MOST_KNOTS = 1000;

  /** Knots have as many right samples each, as far as possible. */
  private static final int KNOTS = 24;

  private static final int FEWEST_OF_A_KNOT = 20;

  /** Log odds from which on, and a little below, a log probability is 0 as a float. */
  private static final double SURE = 100;

  /** More than what log odds are rounded by, relatively. */
  private static final double ROUNDING = 1e-5;

  /**
   * Requires knots that are in order.
   *
   * @throws IllegalArgumentException if they are not; the message begins with the element
   */
  ScoreCalibration check() {
    for (int knot = 0; knot < scores.length; knot++) {
      require(scores[knot], knot == 0 || scores[knot] > scores[knot - 1], knot);
      boolean ascends = knot == 0 || logOdds[knot] >= logOdds[knot - 1];
      require(logOdds[knot], ascends, scores.length + knot);
    }
    return this;
  }

  private static void require(float number, boolean isInOrder, int element) {
    if (!(Math.abs(number) <= LARGEST && isInOrder)) {
      throw new IllegalArgumentException(
          "element " + element + " = " + number + " is out of place");
    }
  }

  /** The logarithm of the probability of a score. */
  float logProbability(double score) {
    double odds = logOdds(score);
    return (float) (Math.min(odds, 0) - Math.log1p(Math.exp(-Math.abs(odds))));
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

  /** A score that no output of at least some probability is below; infinite if there is none. */
  double leastScore(double probability) {
    double odds = Math.log(probability) - Math.log1p(-probability);
    double least = odds == Double.POSITIVE_INFINITY ? SURE : odds - ROUNDING * (1 + Math.abs(odds));
    if (least <= logOdds[0]) {
      return scores[0] + least - logOdds[0];
    }
    for (int knot = 1; knot < scores.length; knot++) {
      if (least <= logOdds[knot]) {
        return scores[knot - 1]; // rather than a place between two, which is rounded
      }
    }
    return Double.POSITIVE_INFINITY;
  }

  /** What was found, with log probabilities of at least a number in place of scores. */
  SearchResult calibrated(SearchResult found, double least) {
    int[][] outputs = found.outputs().clone();
    float[][] logProbabilities = new float[outputs.length][];
    for (int row = 0; row < outputs.length; row++) {
      float[] ofRow = new float[outputs[row].length];
      int count = 0;
      while (count < ofRow.length) {
        float logProbability = logProbability(found.logProbabilities()[row][count]);
        if (logProbability < least) {
          break; // so are all others
        }
        ofRow[count++] = logProbability;
      }
      outputs[row] = Arrays.copyOf(outputs[row], count);
      logProbabilities[row] = Arrays.copyOf(ofRow, count);
    }
    return new SearchResult(
        outputs, logProbabilities, found.openedClasses(), found.undefined(), found.filteredOut());
  }

  /**
   * The knots for samples; one, with a slope of 1, if there are too few of these.
   *
   * @param sums the score of each sample
   * @param right whether each is right
   * @param intercept the log odds of score 0, if there are too few samples
   */
  static ScoreCalibration fit(double[] sums, boolean[] right, double intercept) {
    double[][] sorted = new double[sums.length][];
    int all = 0;
    for (int s = 0; s < sums.length; s++) {
      sorted[s] = new double[] {sums[s], right[s] ? 1 : 0};
      all += right[s] ? 1 : 0;
    }
    Arrays.sort(sorted, Comparator.comparingDouble(sample -> sample[0]));
    int each = Math.max(FEWEST_OF_A_KNOT, all / KNOTS);
    Deque<Bin> bins = new ArrayDeque<>();
    Bin next = new Bin(0, 0, 0);
    for (double[] sample : sorted) {
      next = next.plus(new Bin(1, sample[1], sample[0]));
      if (next.right >= each) {
        add(next, bins);
        next = new Bin(0, 0, 0);
      }
    }
    if (next.count > 0) {
      add(bins.isEmpty() ? next : next.plus(bins.removeLast()), bins);
    }
    return bins.size() < 2
        ? new ScoreCalibration(new float[1], new float[] {(float) intercept})
        : new ScoreCalibration(knots(bins, Bin::score), knots(bins, Bin::odds));
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

  /** Samples of similar scores. */
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
