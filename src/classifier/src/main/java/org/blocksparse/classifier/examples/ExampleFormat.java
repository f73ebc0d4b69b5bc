// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

/** The format of examples, one on each line. */
public enum ExampleFormat {
  /** {@code __label__one __label__two words of a text}, as fastText's; labels may be anywhere. */
  TEXT,
  /**
   * {@code one,two 17:0.5 300:1}, that of the extreme classification repository: labels, then
   * features as index:value. A line that begins with a space has no labels. The first line may be
   * the numbers of examples, features and labels.
   */
  SPARSE,
  /**
   * The format of the first thousand lines. They are texts if any of them has a word that begins
   * with the prefix of labels. If none has, they are sparse if one has nothing but features after
   * its labels, or if the first may be the three numbers.
   */
  AUTO
}
