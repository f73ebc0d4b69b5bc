// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.BitSet;

/**
 * The ranking of each row, best first.
 *
 * @param openedClasses how many classes were opened for each row
 * @param undefined the rows of which nothing can be said, since something that was computed for
 *     them is NaN; nothing was found there
 * @param filteredOut the rows in which the filter leaves nothing
 * @param leftOut for each row that has no filter, the number of outputs that are not ranked since
 *     their score is 0
 */
public record SearchResult(
    int[][] outputs,
    float[][] logProbabilities,
    int[] openedClasses,
    BitSet undefined,
    BitSet filteredOut,
    int[] leftOut) {
  /** Drops the results of rows without a ranking. Returns this. */
  public SearchResult undefine(BitSet rows) {
    rows.stream()
        .filter(row -> !filteredOut.get(row))
        .forEach(
            row -> {
              outputs[row] = new int[0];
              logProbabilities[row] = new float[0];
              undefined.set(row);
            });
    return this;
  }
}
