// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.WeightType;

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
 * @param type the type of the weights, without scales
 * @param w the weight of each entry
 * @param entries how many there are
 * @param biases the biases of the outputs of all chunks
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
    Storage biases)
    implements AutoCloseable {
  /** The maximum number of outputs of a chunk: as many as a byte can number. */
  public static final int MOST_OUTPUTS = 256;

  /** Allocates zeroed memory for float32 weights, all or none. */
  public static SparseChunks allocate(int features, int rows, int entries, int outputs) {
    Storage[] made =
        Storage.allocateAll(features + 1L, rows, rows + 1L, (entries + 3L) / 4, entries, outputs);
    return new SparseChunks(
        features,
        made[0],
        made[1],
        made[2],
        rows,
        made[3],
        WeightType.FLOAT32,
        made[4],
        entries,
        made[5]);
  }

  /** Returns all memory. */
  public Storage[] storages() {
    return new Storage[] {begins, chunks, starts, columns, w, biases};
  }

  @Override
  public void close() {
    Storage.closeAll(storages());
  }
}
