// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

/**
 * A product of rounded rows with packed blocks; see {@link ProductKernels#packedGemm}.
 *
 * @param a the rows that are read
 * @param c the rows that are written
 */
record PackedProduct(GemmSchedule schedule, RoundedRows a, Blocks w, Sums c) {}
