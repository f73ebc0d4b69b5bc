// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import org.blocksparse.classifier.examples.InvalidInputException;

/** The numbers that options may have. */
final class Limits {
  static final int MOST_LABELS = 100_000;

  private Limits() {}

  static void require(String option, int value, int least, int most) {
    if (value < least || value > most) {
      throw new InvalidInputException(
          "%s: expected a number in [%d, %d] but was %d".formatted(option, least, most, value));
    }
  }
}
