// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.TableRows;

/**
 * Sums of rows that bags name, times the factor of the reduction; see {@link RowKernels#bagSum}.
 *
 * @param n the size of a row
 * @param c a row for each bag
 */
public record BagSums(Bags.Reduction reduction, Bags bags, int n, TableRows a, Rows c) {}
