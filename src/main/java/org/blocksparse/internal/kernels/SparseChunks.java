// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/**
 * Sparse weights of the outputs of chunks. Each feature has a row for each chunk that has weights
 * for it; rows are in the order of features, and of chunks for each feature.
 *
 * @param features how many there are
 * @param begins feature f has the rows [begins[f], begins[f + 1])
 * @param chunks the chunk of each row
 * @param starts row i has the entries [starts[i], starts[i + 1])
 * @param rows how many there are
 * @param columns a byte for each entry: the output, counted within its chunk
 * @param type of the weights, without scales
 * @param w the weight of each entry
 * @param entries how many there are
 * @param biases of the outputs of all chunks
 */
public record SparseChunks(
    int features,
    Storage begins,
    Storage chunks,
    Storage starts,
    int rows,
    Storage columns,
    WeightType type,
    Storage w,
    int entries,
    Storage biases) {
  /** Outputs of a chunk: as many as a byte can name. */
  public static final int MOST_OUTPUTS = 256;

  /** All memory. */
  public Storage[] storages() {
    return new Storage[] {begins, chunks, starts, columns, w, biases};
  }
}
