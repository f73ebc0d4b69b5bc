// SPDX-License-Identifier: Apache-2.0
/**
 * Products of chosen blocks, with gradients and optimizer steps. {@link
 * org.blocksparse.products.SparseBlockDot} is the layer; a {@link
 * org.blocksparse.products.BlockPlan} has the blocks that it selects.
 */
package org.blocksparse.products;
