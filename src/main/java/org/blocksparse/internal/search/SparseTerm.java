// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The product of rows with sparse weights, times a factor: a term of a sum. Chunk c of the weights
 * has the outputs from {@link SparseChunks#MOST_OUTPUTS} * c on.
 *
 * @param outputs how many there are
 */
public record SparseTerm(
    RowKernels kernels, Bags x, SparseChunks weights, int outputs, double factor) {}
