// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.time.Clock;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import org.blocksparse.classifier.InvalidInputException;

/** The day that a model's card has. */
final class CardDate {
  private CardDate() {}

  /**
   * The day, in UTC.
   *
   * @param option what the user gave; null: nothing
   * @param epoch the value of SOURCE_DATE_EPOCH, the seconds since 1970 by which builds are made
   *     reproducible; null: not set
   * @param clock where neither is given
   * @throws InvalidInputException if what is given is none
   */
  static String of(String option, String epoch, Clock clock) {
    if (option != null) {
      return parse("--date: expected a day, as 2026-11-29,", option, () -> LocalDate.parse(option));
    }
    if (epoch != null) {
      return parse(
          "SOURCE_DATE_EPOCH: expected seconds since 1970",
          epoch,
          () -> LocalDate.ofInstant(Instant.ofEpochSecond(Long.parseLong(epoch)), ZoneOffset.UTC));
    }
    return LocalDate.ofInstant(clock.instant(), ZoneOffset.UTC).toString();
  }

  private interface Day {
    LocalDate parse();
  }

  private static String parse(String expected, String text, Day day) {
    try {
      return day.parse().toString();
    } catch (DateTimeException | NumberFormatException e) {
      throw new InvalidInputException(expected + " but was " + text);
    }
  }
}
