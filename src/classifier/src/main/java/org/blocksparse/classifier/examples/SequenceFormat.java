// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

/** Formats of sequences, whose words are separated by spaces or tabs. */
public enum SequenceFormat {
  /** {@code user item item ...}: the items of a user, the oldest first. */
  SEQUENCES,
  /** {@code item item ...}: the items of a basket, whose order means nothing. */
  BASKETS,
  /** {@code user item,item item ...}: the baskets of a user, the oldest first. */
  HISTORIES,
  /**
   * {@code user item time}: one event; times are numbers or dates of ISO 8601, in any order of the
   * lines. With a header, lines are CSV, TSV, or words, with {@linkplain EventColumns columns} in
   * any order; or objects of JSON Lines.
   */
  EVENTS
}
