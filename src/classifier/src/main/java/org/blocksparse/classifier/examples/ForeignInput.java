// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Input that is no UTF-8 text, but could be split into lines, with meaningless answers: detected by
 * its first bytes, with which no text begins.
 */
enum ForeignInput {
  UTF_16("\\xFF\\xFE|\\xFE\\xFF", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
  ZIP("PK\\x03\\x04", "a zip archive", "unzip -p");

  private static final int MOST_BYTES = 4;

  private final Pattern beginning;
  private final String what;
  private final String command;

  /**
   * Creates a kind.
   *
   * @param beginning of its bytes, each as the character of its number
   * @param command what makes a text of it
   */
  ForeignInput(String beginning, String what, String command) {
    this.beginning = Pattern.compile(beginning);
    this.what = what;
    this.command = command;
  }

  /** Returns the kind that these bytes begin; empty if there is none. */
  static Optional<ForeignInput> of(byte[] bytes, int begin, int end) {
    String first = new String(bytes, begin, Math.min(MOST_BYTES, end - begin), ISO_8859_1);
    return Arrays.stream(values())
        .filter(kind -> kind.beginning.matcher(first).lookingAt())
        .findFirst();
  }

  /** Returns the problem of this input and the remedy. */
  String problem() {
    return "is " + what + "; expected text in UTF-8, as <(" + command + " FILE) gives";
  }
}
