// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.schedule.GemmSchedule;

/**
 * Columns [columnBegin, columnEnd) of the rows that chunks [begin, end) of a schedule write, or
 * without a schedule of rows [begin, end).
 *
 * @param schedule or null
 */
public record RowSelection(
    GemmSchedule schedule, int begin, int end, int columnBegin, int columnEnd) {

  /** Returns these rows, with n columns. */
  RowSelection withColumns(int n) {
    return new RowSelection(schedule, begin, end, 0, n);
  }
}
