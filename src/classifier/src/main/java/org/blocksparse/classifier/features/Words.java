// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.stream.Stream;

/** What counts as a word of a text. */
public enum Words {
  /** What white space separates, as in fastText. */
  PLAIN("plain"),

  /** Runs of letters and digits; characters in a row are those inside them. */
  LETTERS("unicode"),

  /**
   * Runs of letters and digits, and each symbol or punctuation mark; characters in a row are those
   * of what white space separates.
   */
  SYMBOLS("symbols");

  private final String label;

  Words(String label) {
    this.label = label;
  }

  /**
   * Returns the words with this name in a file.
   *
   * @throws IllegalArgumentException if there are none
   */
  public static Words of(String name) {
    return Stream.of(values())
        .filter(words -> words.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "words: expected plain, unicode or symbols but was " + name));
  }

  /** Returns the name in a file. */
  @Override
  public String toString() {
    return label;
  }
}
