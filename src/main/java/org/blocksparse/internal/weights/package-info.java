// SPDX-License-Identifier: Apache-2.0

/**
 * The memory of weights: their types, packed panels, and the blocks of ggml. {@link
 * org.blocksparse.internal.weights.Blocks} is the operand that kernels read.
 */
package org.blocksparse.internal.weights;
