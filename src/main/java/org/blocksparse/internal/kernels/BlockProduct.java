// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;

/**
 * A product of rows with blocks; see {@link ProductKernels#blockGemm}.
 *
 * @param a the rows that are read
 * @param format how a is rounded, as w allows it
 * @param w blocks of any type
 * @param c the rows that are written
 * @param before a product with the same rows c that comes first, so that this one is added, or null
 */
public record BlockProduct(
    GemmSchedule schedule, Rows a, RowFormat format, Blocks w, Sums c, BlockProduct before) {
  /** Creates a product of floats. */
  public BlockProduct(GemmSchedule schedule, Rows a, Blocks w, Sums c) {
    this(schedule, a, RowFormat.FLOATS, w, c, null);
  }
}
