// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

/** Whether items of a history are recommended again. */
public enum Repeats {
  /** All items. */
  INCLUDE,
  /** New items: none of the history. */
  EXCLUDE,
  /** Items of the history alone. */
  ONLY
}
