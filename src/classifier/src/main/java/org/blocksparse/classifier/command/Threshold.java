// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.Locale;
import java.util.OptionalDouble;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.InvalidInputException;

/**
 * The value of {@code --threshold}: a probability, or that of the model.
 *
 * @param number empty: that of the model
 */
record Threshold(OptionalDouble number) {
  private static final String BEST = "best";

  /**
   * Returns a threshold that a user gave.
   *
   * @param least the lowest that it may be
   * @throws InvalidInputException if it is neither the word nor a number in [least, 1]
   */
  static Threshold parse(String text, double least) {
    if (text.equals(BEST)) {
      return new Threshold(OptionalDouble.empty());
    }
    try {
      double number = Double.parseDouble(text);
      if (number >= least && number <= 1) {
        return new Threshold(OptionalDouble.of(number));
      }
    } catch (NumberFormatException e) {
      // It is rejected below, as a number outside the range.
    }
    throw new InvalidInputException(
        String.format(
            Locale.ROOT,
            "--threshold: expected a number in [%s, 1], or %s, but was %s",
            least == 0 ? "0" : Double.toString(least),
            BEST,
            text));
  }

  /**
   * Returns the probability.
   *
   * @throws InvalidInputException if it is that of the model, which has none
   */
  double of(Classifier model) {
    return number.orElseGet(
        () ->
            model
                .threshold()
                .orElseThrow(
                    () ->
                        new InvalidInputException(
                            "--threshold: expected a number, since the model has no best one; train"
                                + " one with 10 examples or more, or with --validation")));
  }
}
