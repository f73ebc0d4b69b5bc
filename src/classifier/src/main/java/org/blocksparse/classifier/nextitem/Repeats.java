// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

/** The items of a history that are recommended again. */
public enum Repeats {
  /** All items. */
  INCLUDE,
  /** New items: none of the history. */
  EXCLUDE,
  /** Only items of the history. */
  ONLY
}
