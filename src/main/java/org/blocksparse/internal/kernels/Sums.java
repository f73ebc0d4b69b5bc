// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;

/**
 * Rows that products are added to, and their initial values: 0, a bias, or their content.
 *
 * @param bias a row for each written block, or null
 * @param accumulate whether rows are added to; there is no bias then
 */
public record Sums(Rows rows, Rows bias, boolean accumulate) {
  /** Returns sums that begin with 0, or with a bias that is not null. */
  public static Sums from(Rows bias, Rows rows) {
    return new Sums(rows, bias, false);
  }

  /** Returns sums that begin with 0. */
  public static Sums of(Rows rows) {
    return new Sums(rows, null, false);
  }

  /** Returns sums that begin with 0, or with the content of the rows. */
  public static Sums of(Rows rows, boolean accumulate) {
    return new Sums(rows, null, accumulate);
  }

  /** Returns the number with which the sum of an element begins. */
  float start(int block, int row, int column) {
    return accumulate ? rows.get(row, column) : bias == null ? 0 : bias.get(block, column);
  }
}
