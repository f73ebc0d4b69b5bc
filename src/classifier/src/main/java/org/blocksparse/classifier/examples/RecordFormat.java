// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/** The format of a file of records, whose fields have names. */
public enum RecordFormat {
  /**
   * Comma-separated values of RFC 4180: the first line names the columns, and quotes surround a
   * field with commas, line feeds or quotes, which are doubled. Where the first line has no comma,
   * semicolons separate columns, as Excel writes them in many countries.
   */
  CSV("csv"),

  /** Tab-separated values; otherwise like {@link #CSV}. */
  TSV("tsv"),

  /** JSON Lines: each line is an object. */
  JSONL("jsonl|ndjson");

  private final Pattern ending;

  RecordFormat(String extensions) {
    this.ending = Pattern.compile(".*\\.(" + extensions + ")(\\.(gz|zst|xz|bz2))?");
  }

  /** Returns the format that the extension of a file names; empty if it names none. */
  public static Optional<RecordFormat> ofName(String file) {
    String name = file.toLowerCase(Locale.ROOT);
    return Arrays.stream(values()).filter(f -> f.ending.matcher(name).matches()).findFirst();
  }
}
