// SPDX-License-Identifier: Apache-2.0

/**
 * Stores weights: their types, packed panels, and the blocks of ggml. {@link
 * org.blocksparse.internal.weights.Blocks} is the operand that kernels read.
 */
package org.blocksparse.internal.weights;
