// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * A product of rounded rows with packed blocks; see {@link ProductKernels#packedGemm}.
 *
 * @param a the rows that are read
 * @param c the rows that are written
 */
public record PackedProduct(GemmSchedule schedule, RoundedRows a, Blocks w, Sums c) {}
