// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.sparse.Bags;

/**
 * Steps of rows of w by the sums of bags; see {@link RowKernels#bagStep}.
 *
 * @param rule {@link UpdateRule#maxNorm} included
 * @param n the size of a row
 * @param a what gradients are sums of
 * @param targets for each bag its row of w; no row twice
 * @param steps for each bag the number of this step of its row; looked at where the rule counts
 *     them
 */
public record BagSteps(
    UpdateRule rule, Bags bags, int n, Rows a, Slice targets, Slice steps, Parameters w) {}
