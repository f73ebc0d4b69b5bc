// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import org.blocksparse.internal.search.LogisticRegression;

/**
 * Calibrates the probabilities of a row by its two most probable outputs: where the first is far
 * ahead of the second, their scores mean something else than where they compete. The log odds of an
 * output become {@code slope * its own + first * those of the first + second * those of the second
 * + intercept}, so the order of the outputs of a row stays.
 *
 * @param slope positive
 */
record TopTwoCalibration(double slope, double first, double second, double intercept) {
  /**
   * The bound on the log odds of the first two outputs: those of a probability of 1 are infinite.
   */
  private static final double LARGEST_ODDS = 16;

  private static final double SMALLEST_SLOPE = 0.01;

  /** The bound on numbers in a file. */
  private static final double LARGEST = 1e3;

  private static double bounded(double logProbability) {
    return Math.max(-LARGEST_ODDS, odds(logProbability));
  }

  /** Returns the log odds of a logarithm of a probability. */
  private static double odds(double logProbability) {
    double odds = logProbability - Math.log(-Math.expm1(logProbability));
    return Math.min(LARGEST_ODDS, odds);
  }

  /**
   * Returns the number that is added to each output of a row.
   *
   * @param row the log probabilities of outputs of the row, among them the two best
   * @param others the log odds of outputs that the row leaves out, which may be better
   */
  double offset(double[] row, double[] others) {
    double[] two = topTwo(row, others);
    return first * two[0] + second * two[1] + intercept;
  }

  /**
   * Returns the bounded log odds of the two best outputs; twice those of the first if it is alone.
   */
  private static double[] topTwo(double[] row, double[] others) {
    double[] all =
        DoubleStream.concat(DoubleStream.of(row), DoubleStream.of(others)).sorted().toArray();
    return new double[] {bounded(all[all.length - 1]), bounded(all[Math.max(0, all.length - 2)])};
  }

  /** Returns the log odds of an output, by the logarithm of its probability of before. */
  double logOdds(double before, double offset) {
    return slope * odds(before) + offset;
  }

  /** Returns a lower bound of the log odds before calibration, given those after it. */
  double least(double odds, double offset) {
    double before = (Math.min(LARGEST_ODDS, odds) - offset) / slope;
    return before - 1e-4 * (1 + Math.abs(before)); // as probabilities are rounded
  }

  /**
   * Returns the likeliest one for rows; null if there is none.
   *
   * @param rows the log probabilities of the outputs of each row
   * @param others the log odds of outputs that each row leaves out
   * @param right for each of the rows' outputs, whether the row has it
   */
  static TopTwoCalibration fitOrNull(double[][] rows, double[][] others, boolean[][] right) {
    LogisticRegression samples = new LogisticRegression(3);
    for (int row = 0; row < rows.length; row++) {
      if (rows[row].length == 0) {
        continue;
      }
      double[] two = topTwo(rows[row], others[row]);
      for (int i = 0; i < rows[row].length; i++) {
        samples.add(new double[] {bounded(rows[row][i]), two[0], two[1]}, 0, right[row][i]);
      }
    }
    double[] found = samples.fit(new double[] {1, 0, 0, 0}, new boolean[] {true, true, true});
    TopTwoCalibration fitted = new TopTwoCalibration(found[0], found[1], found[2], found[3]);
    return samples.size() > 0 && fitted.isValid() ? fitted : null;
  }

  private double[] numbers() {
    return new double[] {slope, first, second, intercept};
  }

  private boolean isValid() {
    return slope >= SMALLEST_SLOPE
        && Arrays.stream(numbers()).allMatch(number -> Math.abs(number) <= LARGEST);
  }

  /**
   * Requires numbers in bounds.
   *
   * @throws IllegalArgumentException if they are not
   */
  TopTwoCalibration check() {
    if (!isValid()) {
      throw new IllegalArgumentException(
          "topTwo: expected a slope of at least "
              + SMALLEST_SLOPE
              + ", and numbers of at most "
              + LARGEST
              + " but was "
              + encoded());
    }
    return this;
  }

  /** Returns the numbers, with spaces between them. */
  String encoded() {
    return DoubleStream.of(numbers()).mapToObj(Double::toString).collect(Collectors.joining(" "));
  }

  /**
   * Decodes a text.
   *
   * @throws IllegalArgumentException if it is not an encoded calibration
   */
  static TopTwoCalibration decode(String text) {
    double[] numbers = Arrays.stream(text.split(" ", 5)).mapToDouble(Double::parseDouble).toArray();
    if (numbers.length != 4) {
      throw new IllegalArgumentException("topTwo: expected 4 numbers but was " + numbers.length);
    }
    return new TopTwoCalibration(numbers[0], numbers[1], numbers[2], numbers[3]).check();
  }
}
