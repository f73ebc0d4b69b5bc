// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * Outer products of rows; see {@link ProductKernels#blockOuter}.
 *
 * @param alpha their factor
 * @param accumulate whether o is added to, or only written
 * @param o the blocks that are written
 */
public record OuterProduct(
    OuterSchedule schedule, float alpha, Rows x, Rows y, boolean accumulate, Blocks o) {}
