// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

/**
 * The fields of examples in files of {@linkplain RecordFormat records}. Immutable: {@code
 * ExampleColumns.defaults().withText("body")}.
 *
 * @param text the column with the text
 * @param label the column with the label; an array of JSON has several
 * @param labelSeparator what is between labels in one string; empty: a string is one label
 */
public record ExampleColumns(String text, String label, String labelSeparator) {
  private static final ExampleColumns DEFAULTS = new ExampleColumns("text", "label", "");

  /** Checks the names. */
  public ExampleColumns {
    requireNonNull(labelSeparator, "labelSeparator");
    if (requireNonNull(text, "text").equals(requireNonNull(label, "label"))) {
      throw new IllegalArgumentException(
          "labelColumn: expected another column than that of the text but was '" + label + "'");
    }
  }

  /** Returns the columns {@code text} and {@code label}, which has one label. */
  public static ExampleColumns defaults() {
    return DEFAULTS;
  }

  /** Returns these columns with another one for the text. */
  public ExampleColumns withText(String name) {
    return new ExampleColumns(name, label, labelSeparator);
  }

  /** Returns these columns with another one for the label. */
  public ExampleColumns withLabel(String name) {
    return new ExampleColumns(text, name, labelSeparator);
  }

  /** Returns these columns with several labels in a string, such as {@code tea;coffee}. */
  public ExampleColumns withLabelSeparator(String separator) {
    return new ExampleColumns(text, label, separator);
  }
}
