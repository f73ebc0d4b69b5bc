// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.classifier.examples.InvalidInputException;

/** Entries of the model card that only the command has: the date, and the files. */
final class DataCard {
  private final Map<String, String> entries = new LinkedHashMap<>();

  Map<String, String> entries() {
    return entries;
  }

  /** Adds the date. */
  void putDate() {
    entries.put("date", date(System.getenv("SOURCE_DATE_EPOCH"), Clock.systemUTC()));
  }

  /**
   * Adds a file: its name, size and SHA-256.
   *
   * @param what the beginning of the names of the entries
   * @param bytes read to the end here; null for a pipe with a name, whose bytes are not hashed
   */
  void putFile(String what, String name, HashedInput bytes) throws IOException {
    entries.put(what, name);
    if (bytes != null) {
      entries.put(what + " bytes", Long.toString(bytes.size()));
      entries.put(what + " SHA-256", bytes.sha256());
    }
  }

  /**
   * Returns the day, in UTC.
   *
   * @param epoch the value of SOURCE_DATE_EPOCH, the seconds since 1970 by which builds are made
   *     reproducible; null: not set
   * @param clock the clock to use if that is not set
   * @throws InvalidInputException if what is given is none
   */
  static String date(String epoch, Clock clock) {
    if (epoch == null) {
      return LocalDate.ofInstant(clock.instant(), ZoneOffset.UTC).toString();
    }
    try {
      long seconds = Long.parseLong(epoch);
      return LocalDate.ofInstant(Instant.ofEpochSecond(seconds), ZoneOffset.UTC).toString();
    } catch (DateTimeException | NumberFormatException e) {
      throw new InvalidInputException(
          "SOURCE_DATE_EPOCH: expected seconds since 1970 but was " + epoch);
    }
  }
}
