// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Activation;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * A product of rounded rows with packed blocks, followed by an activation and rounding; see {@link
 * ProductKernels#packedActivation}.
 *
 * @param a the rows that are read
 * @param bias a row for each written block, or null
 * @param gate a factor for each row that is written, or null
 * @param to the rows that are written
 */
public record PackedActivation(
    GemmSchedule schedule,
    RoundedRows a,
    Blocks w,
    Rows bias,
    Activation function,
    Storage gate,
    RoundedRows to) {}
