// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.Optional;

/** The format of examples. */
public enum ExampleFormat {
  /** {@code __label__one __label__two words of a text}, as fastText's; labels may be anywhere. */
  TEXT,
  /**
   * {@code one,two 17:0.5 300:1}, that of the extreme classification repository: labels, then
   * features as index:value. A line that begins with a space has no labels. The first line may be
   * the numbers of examples, features and labels.
   */
  SPARSE,
  /** {@link RecordFormat#CSV}, with {@linkplain ExampleColumns columns} of texts and labels. */
  CSV,
  /** {@link RecordFormat#TSV}. */
  TSV,
  /** {@link RecordFormat#JSONL}. A label may be a string, a number or an array of them. */
  JSONL,
  /**
   * The format that the {@linkplain RecordFormat#ofName extension} of the file names, else that of the first thousand lines. They are texts if any of them has a word that begins
   * with the prefix of labels. If none has, they are sparse if one has nothing but features after
   * its labels, or if the first may be the three numbers.
   */
  AUTO;

  /** Returns the format of records; empty for lines. */
  public Optional<RecordFormat> records() {
    return switch (this) {
      case CSV -> Optional.of(RecordFormat.CSV);
      case TSV -> Optional.of(RecordFormat.TSV);
      case JSONL -> Optional.of(RecordFormat.JSONL);
      case TEXT, SPARSE, AUTO -> Optional.empty();
    };
  }

  /** Returns this format, or that of a file's extension instead of {@link #AUTO}. */
  public ExampleFormat forFile(String name) {
    return this == AUTO
        ? RecordFormat.ofName(name).map(records -> valueOf(records.name())).orElse(AUTO)
        : this;
  }
}
