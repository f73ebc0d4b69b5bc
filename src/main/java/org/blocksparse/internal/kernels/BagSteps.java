// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.sparse.Bags;

/**
 * Sums of bags that are gradients of rows of w; see {@link RowKernels#bagStep}.
 *
 * @param n the size of a row
 * @param a the summands of gradients
 * @param targets for each bag its row of w; no row twice
 * @param steps for each bag the number of this step of its row; looked at where the rule counts
 *     them
 */
public record BagSteps(Bags bags, int n, Rows a, Slice targets, Slice steps, Parameters w) {}
