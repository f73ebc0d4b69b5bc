// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

/**
 * Escapes names of labels and facts of a model for printing: each stays on one line, in one column,
 * and without control characters. A model may come from anybody.
 */
final class Printed {
  private Printed() {}

  /** The letters after a backslash in escapes. */
  private static final String OF_ESCAPES = "nrtu\\";

  /**
   * Returns a name in which control characters, and what else ends a line or turns it around, are
   * escaped as in Java. Its backslashes are, too, if it has any of these, or reads as if it had: so
   * no two names are printed the same, and nearly all are as they are.
   */
  static String of(String name) {
    for (int i = 0; i < name.length(); i++) {
      if (isControl(name.charAt(i)) || isEscape(name, i)) {
        return escaped(name);
      }
    }
    return name;
  }

  private static boolean isEscape(String name, int at) {
    return name.charAt(at) == '\\'
        && at + 1 < name.length()
        && OF_ESCAPES.indexOf(name.charAt(at + 1)) >= 0;
  }

  private static boolean isControl(char c) {
    int kind = Character.getType(c);
    return kind == Character.CONTROL
        || kind == Character.LINE_SEPARATOR
        || kind == Character.PARAGRAPH_SEPARATOR
        || turnsLines(c);
  }

  /**
   * Returns whether it sets the direction of what follows, up to the probabilities behind a name.
   */
  private static boolean turnsLines(char c) {
    return (c >= '\u202a' && c <= '\u202e') || (c >= '\u2066' && c <= '\u2069');
  }

  private static String escaped(String name) {
    StringBuilder escaped = new StringBuilder();
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      switch (c) {
        case '\n' -> escaped.append("\\n");
        case '\r' -> escaped.append("\\r");
        case '\t' -> escaped.append("\\t");
        case '\\' -> escaped.append("\\\\");
        default -> escaped.append(isControl(c) ? "\\u%04x".formatted((int) c) : c);
      }
    }
    return escaped.toString();
  }
}
