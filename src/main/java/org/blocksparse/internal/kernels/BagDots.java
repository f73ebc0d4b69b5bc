// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.TableRows;

/**
 * Products of the row that each entry of bags names with the row of its bag, times the factor of
 * the reduction; see {@link RowKernels#bagDot}.
 *
 * @param n the size of a row
 * @param y a row for each bag
 * @param dots an element for each entry
 */
public record BagDots(
    Bags.Reduction reduction, Bags bags, int n, TableRows a, Rows y, Storage dots) {}
