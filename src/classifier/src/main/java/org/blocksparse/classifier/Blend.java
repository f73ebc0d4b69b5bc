// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Maps the scores of heads to a probability. The score of a label is the sum over the heads of
 * weight * log probability. Knots map scores to log odds, with linear interpolation. Below the
 * first knot, log odds fall as scores do; above the last one, they are constant.
 *
 * @param weights of the heads, not negative, not all 0; shared and not to be changed
 * @param scores of the knots, ascending
 * @param logOdds of the knots, ascending, not necessarily strictly
 */
@SuppressWarnings("ArrayRecordComponent") // nobody compares them
record Blend(float[] weights, float[] scores, float[] logOdds) {
  /** Knots have as many right samples each, as far as possible. */
  private static final int KNOTS = 24;

  /** How far a score may be above the mean of its knot, unless that has very few samples. */
  private static final double WIDEST = 0.5;

  /** A knot has at least this part of the samples. */
  private static final int PARTS = 200;

  private static final int FEWEST_OF_A_KNOT = 20;

  /** The maximum in a file; training makes {@link #KNOTS} + {@link #PARTS} + 1 at most. */
  private static final int MOST_KNOTS = 1000;

  /** The bound on numbers in a file keeps sums and differences finite. */
  private static final float LARGEST = 1e6f;

  /** The lower bound of the largest weight. */
  private static final float SMALLEST = 1e-6f;

  /** More than what log odds are rounded by, relatively. */
  private static final double ROUNDING = 1e-5;

  /** The log odds of the first knot without samples, and of the last one. */
  private static final int UNCALIBRATED_ODDS = 14;

  private static final int KNOTS_PER_ODDS = 10;

  /** The blend without samples: the geometric mean of the probabilities of the heads. */
  static Blend uncalibrated(int heads) {
    float[] weights = new float[heads];
    Arrays.fill(weights, 1f / heads);
    int count = 2 * UNCALIBRATED_ODDS * KNOTS_PER_ODDS + 1;
    float[] logProbabilities = new float[count];
    float[] logOdds = new float[count];
    for (int knot = 0; knot < count; knot++) {
      double odds = (double) knot / KNOTS_PER_ODDS - UNCALIBRATED_ODDS;
      logOdds[knot] = (float) odds;
      logProbabilities[knot] = (float) (Math.min(odds, 0) - Math.log1p(Math.exp(-Math.abs(odds))));
    }
    return new Blend(weights, logProbabilities, logOdds);
  }

  /** The score of a label. */
  double score(double[] ofHeads) {
    double sum = 0;
    for (int head = 0; head < weights.length; head++) {
      sum += weights[head] == 0 ? 0 : weights[head] * ofHeads[head]; // which may be infinite
    }
    return sum;
  }

  double sumOfWeights() {
    double sum = 0;
    for (float weight : weights) {
      sum += weight;
    }
    return sum;
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

  /** A score that no label of at least some probability is below; infinite if there is none. */
  double leastScore(double probability) {
    double odds = Math.log(probability) - Math.log1p(-probability);
    double least = odds - ROUNDING * (1 + Math.abs(odds));
    int last = scores.length - 1;
    if (least <= logOdds[0]) {
      return scores[0] + least - logOdds[0];
    }
    for (int knot = 1; knot <= last; knot++) {
      if (least <= logOdds[knot]) {
        return scores[knot - 1]; // rather than a place between two, which is rounded
      }
    }
    return Double.POSITIVE_INFINITY;
  }

  /**
   * The likeliest for samples: weights by Newton's method, and knots that ascend. A head whose
   * weight would be negative gets none: then a bound of its score would not bound a label.
   *
   * @param samples the scores of the heads of answers
   */
  static Blend fit(LogisticRegression samples) {
    int heads = samples.numbers();
    boolean[] uses = new boolean[heads];
    Arrays.fill(uses, true);
    double[] start = new double[heads + 1];
    Arrays.fill(start, 0, heads, 1.0 / heads);
    double[] found = samples.fit(start, uses);
    for (int worst = worst(found); worst >= 0; worst = worst(found)) {
      uses[worst] = false;
      start[worst] = 0;
      found = samples.fit(start, uses);
    }
    float[] weights = new float[heads];
    float sum = 0;
    for (int head = 0; head < weights.length; head++) {
      weights[head] = (float) found[head];
      sum += weights[head];
    }
    if (sum == 0) {
      Arrays.fill(weights, 1f / weights.length);
    }
    float[] intercept = {(float) found[weights.length]};
    return new Blend(weights, new float[1], intercept).withKnots(samples);
  }

  /** The same weights, with knots where there are samples for them. */
  private Blend withKnots(LogisticRegression samples) {
    double[][] sorted = new double[samples.size()][];
    int right = 0;
    for (int s = 0; s < sorted.length; s++) {
      sorted[s] = new double[] {score(samples.sample(s)), samples.isRight(s) ? 1 : 0};
      right += samples.isRight(s) ? 1 : 0;
    }
    Arrays.sort(sorted, Comparator.comparingDouble(sample -> sample[0]));
    int each = Math.max(FEWEST_OF_A_KNOT, right / KNOTS);
    int fewest = Math.max(FEWEST_OF_A_KNOT, sorted.length / PARTS);
    Deque<Bin> bins = new ArrayDeque<>();
    Bin next = new Bin(0, 0, 0);
    for (double[] sample : sorted) {
      // Rare labels have low scores, few of them right: they share no knot with others.
      if (next.count >= fewest && sample[0] - next.score() > WIDEST) {
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
      Bin last = bins.isEmpty() ? next : next.plus(bins.removeLast());
      add(last, bins);
    }
    return bins.size() < 2
        ? this
        : new Blend(weights, knots(bins, Bin::score), knots(bins, Bin::odds));
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

  private static int worst(double[] found) {
    int worst = 0;
    for (int head = 1; head < found.length - 1; head++) {
      worst = found[head] < found[worst] ? head : worst;
    }
    return found[worst] < 0 ? worst : -1;
  }

  /** Weights, then scores and then log odds of knots; with spaces between them. */
  String encoded() {
    return Stream.of(weights, scores, logOdds)
        .flatMap(floats -> IntStream.range(0, floats.length).mapToObj(i -> floats[i]))
        .map(Object::toString)
        .collect(Collectors.joining(" "));
  }

  /**
   * Decodes a text.
   *
   * @throws IllegalArgumentException if it is not one of so many heads
   */
  static Blend decode(String text, int heads) {
    String[] words = text.split(" ", 2 * MOST_KNOTS);
    int knots = (words.length - heads) / 2;
    if (knots < 1 || words.length != heads + 2 * knots) {
      throw new IllegalArgumentException("expected weights of " + heads + " heads, and knots");
    }
    float[] all = new float[words.length];
    for (int i = 0; i < all.length; i++) {
      all[i] = Float.parseFloat(words[i]);
      requireThat(Math.abs(all[i]) <= LARGEST, words[i]);
      boolean isFirst = i == heads || i == heads + knots;
      requireThat(i < heads ? all[i] >= 0 : isFirst || all[i] >= all[i - 1], words[i]);
    }
    float[] weights = Arrays.copyOf(all, heads);
    float[] scores = Arrays.copyOfRange(all, heads, heads + knots);
    for (int knot = 1; knot < knots; knot++) {
      requireThat(scores[knot] > scores[knot - 1], words[heads + knot]);
    }
    float most = 0;
    for (float weight : weights) {
      most = Math.max(most, weight);
    }
    requireThat(most >= SMALLEST, words[0]);
    return new Blend(weights, scores, Arrays.copyOfRange(all, heads + knots, all.length));
  }

  private static void requireThat(boolean condition, String word) {
    if (!condition) {
      throw new IllegalArgumentException("has a number out of place: " + word);
    }
  }
}
