// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;

/**
 * Sums of rows, the gradient of a bias; see {@link ProductKernels#blockSum}.
 *
 * @param n the size of a row
 * @param alpha the factor of the rows
 * @param o a row for each block, that is added to
 */
public record RowSums(GemmSchedule schedule, int n, float alpha, Rows y, Rows o) {}
