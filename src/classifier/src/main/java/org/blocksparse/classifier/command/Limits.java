// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.List;
import org.blocksparse.classifier.examples.InvalidInputException;

/** The numbers that options may have. */
final class Limits {
  static final int MOST_LABELS = 100_000;

  private Limits() {}

  /** Requires one number or more: a comma alone is none. */
  static void requireAll(String option, List<Integer> values, int least, int most) {
    if (values.isEmpty()) {
      throw new InvalidInputException(option + ": expected numbers with commas between them");
    }
    values.forEach(value -> require(option, value, least, most));
  }

  static void require(String option, int value, int least, int most) {
    if (value < least || value > most) {
      throw new InvalidInputException(
          "%s: expected a number in [%d, %d] but was %d".formatted(option, least, most, value));
    }
  }
}
