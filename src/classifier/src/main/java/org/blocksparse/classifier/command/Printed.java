// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

/**
 * Names of labels, and what a model tells, as they are printed: each on one line, in one column,
 * and with nothing that a terminal obeys. A model may come from anybody.
 */
final class Printed {
  private Printed() {}

  /** A name in which control characters, and what else ends a line, are escaped as in Java. */
  static String of(String name) {
    return name.chars().anyMatch(Printed::isControl) ? escaped(name) : name;
  }

  private static boolean isControl(int c) {
    int kind = Character.getType(c);
    return kind == Character.CONTROL
        || kind == Character.LINE_SEPARATOR
        || kind == Character.PARAGRAPH_SEPARATOR;
  }

  private static String escaped(String name) {
    StringBuilder escaped = new StringBuilder();
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      switch (c) {
        case '\n' -> escaped.append("\\n");
        case '\r' -> escaped.append("\\r");
        case '\t' -> escaped.append("\\t");
        default -> escaped.append(isControl(c) ? "\\u%04x".formatted((int) c) : c);
      }
    }
    return escaped.toString();
  }
}
