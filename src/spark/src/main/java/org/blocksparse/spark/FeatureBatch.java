// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import org.blocksparse.FloatTensor;

/** The features of rows that are scored together, on their way to the layer. */
interface FeatureBatch {
  /** The maximum number of values of a batch, 64 MiB of them, unless one row has more. */
  int MOST_VALUES = 1 << 24;

  /**
   * Adds a row.
   *
   * @param value the value of the column of features
   * @throws IllegalArgumentException if it is null, has another number of elements, or one that is
   *     not finite as a float
   */
  void add(Object value);

  /** Returns whether no other row may be added. */
  boolean isFull();

  /**
   * Returns the x of the rows, (rows, features of the layer), owned by the caller, and empties the
   * batch.
   */
  FloatTensor take();
}
