// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Calibrates the probabilities of a row by its two most probable labels: where the first is far
 * ahead of the second, both mean something else than where they compete. The log odds of a label
 * become {@code slope * its own + first * those of the first + second * those of the second +
 * intercept}, so the order of the labels of a row stays.
 *
 * @param slope positive
 */
record TopTwoCalibration(double slope, double first, double second, double intercept) {
  /** Log odds of the first two labels are bounded: those of a probability of 1 are infinite. */
  private static final double LARGEST_ODDS = 16;

  private static final double SMALLEST_SLOPE = 0.01;

  /** The bound on numbers in a file. */
  private static final double LARGEST = 1e3;

  private static final TopTwoCalibration NONE = new TopTwoCalibration(1, 0, 0, 0);

  private static double bounded(double logProbability) {
    return Math.max(-LARGEST_ODDS, odds(logProbability));
  }

  /** The log odds of a logarithm of a probability. */
  private static double odds(double logProbability) {
    double odds = logProbability - Math.log(-Math.expm1(logProbability));
    return Math.min(LARGEST_ODDS, odds);
  }

  /**
   * The number that is added to each label of a row.
   *
   * @param best the log probability of the first label of the row
   * @param next of the second; that of the first if there is no other
   */
  double offset(double best, double next) {
    return first * bounded(best) + second * bounded(next) + intercept;
  }

  /** The logarithm of the probability of a label, by that of before. */
  float logProbability(double before, double offset) {
    double odds = slope * odds(before) + offset;
    return (float) (Math.min(odds, 0) - Math.log1p(Math.exp(-Math.abs(odds))));
  }

  /** A probability of before that no label with a probability is below. */
  double least(double probability, double offset) {
    double odds = (odds(Math.log(probability)) - offset) / slope;
    double least = odds - 1e-4 * (1 + Math.abs(odds)); // as probabilities are rounded
    return 1 / (1 + Math.exp(-least));
  }

  /**
   * The likeliest one for rows.
   *
   * @param rows the log probabilities of the labels of each row, descending
   * @param right for each of these, whether the row has the label
   */
  static TopTwoCalibration fit(double[][] rows, boolean[][] right) {
    LogisticRegression samples = new LogisticRegression(3);
    for (int row = 0; row < rows.length; row++) {
      for (int i = 0; i < rows[row].length; i++) {
        double[] of = rows[row];
        double next = of[Math.min(1, of.length - 1)];
        samples.add(new double[] {bounded(of[i]), bounded(of[0]), bounded(next)}, right[row][i]);
      }
    }
    double[] found = samples.fit(new double[] {1, 0, 0, 0}, new boolean[] {true, true, true});
    return isValid(found) ? new TopTwoCalibration(found[0], found[1], found[2], found[3]) : NONE;
  }

  private static boolean isValid(double[] numbers) {
    return numbers[0] >= SMALLEST_SLOPE
        && Arrays.stream(numbers).allMatch(number -> Math.abs(number) <= LARGEST);
  }

  /** The numbers, with spaces between them. */
  String encoded() {
    return IntStream.of(0, 1, 2, 3)
        .mapToObj(i -> Double.toString(new double[] {slope, first, second, intercept}[i]))
        .collect(Collectors.joining(" "));
  }

  /**
   * Decodes a text.
   *
   * @throws IllegalArgumentException if it is not one of these
   */
  static TopTwoCalibration decode(String text) {
    double[] numbers = Arrays.stream(text.split(" ", 5)).mapToDouble(Double::parseDouble).toArray();
    if (numbers.length != 4 || !isValid(numbers)) {
      throw new IllegalArgumentException("expected a positive slope and three more numbers");
    }
    return new TopTwoCalibration(numbers[0], numbers[1], numbers[2], numbers[3]);
  }
}
