// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;

/**
 * The columns that scoring reads and adds.
 *
 * @param features the number of the column
 * @param without the number of the column, or -1
 * @param prediction whether the likeliest label is added
 * @param topK whether the k likeliest labels are added
 * @param k how many are searched
 * @param named whether labels are strings
 */
record ScoringColumns(
    int features, int without, boolean prediction, boolean topK, int k, boolean named)
    implements Serializable {
  /** Returns the number of added columns. */
  int added() {
    return (prediction ? 1 : 0) + (topK ? 1 : 0);
  }
}
