// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.BitSet;
import org.blocksparse.internal.kernels.Bags;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.kernels.Scheduler;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.memory.Scratch;

/**
 * The products of a row with sparse weights, whose chunks are consecutive outputs: chunk c has the
 * outputs from {@link SparseChunks#MOST_OUTPUTS} * c on. Only chunks that share a feature with the
 * row are read; all other outputs have score 0.
 *
 * <p>The memory of one worker.
 */
public final class SparseScores implements Scheduler.Share {
  /** Takes the scores of a chunk. */
  public interface Sink {
    /** Outputs [first, first + n) have the scores [0, n). */
    void take(int chunk, int first, float[] scores, int n);
  }

  private final RowKernels kernels;
  private final Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS);
  private final float[] scores = new float[SparseChunks.MOST_OUTPUTS];
  private final BitSet touched = new BitSet();
  private int[] chunks = new int[64];

  public SparseScores(RowKernels kernels) {
    this.kernels = kernels;
  }

  /** The number of chunks of outputs. */
  public static int chunks(int outputs) {
    return (int) ((outputs + SparseChunks.MOST_OUTPUTS - 1L) / SparseChunks.MOST_OUTPUTS);
  }

  /**
   * Computes the scores of all chunks that share a feature with a row and hold an output that is
   * allowed, in ascending order.
   *
   * @return how many these are
   * @throws IllegalStateException if a mapped file is damaged
   */
  public int forEach(Bags x, int row, SparseChunks weights, AllowedSlots allowed, Sink sink) {
    int outputs = allowed.table.outputs();
    int count = chunks(outputs);
    for (int e = x.offsets().getInt(row); e < x.offsets().getInt(row + 1L); e++) {
      touch(weights, x.indices().getInt(e), count);
    }
    int opened = 0;
    for (int chunk = touched.nextSetBit(0); chunk >= 0; chunk = touched.nextSetBit(chunk + 1)) {
      if (!allowed.any(chunk)) {
        continue;
      }
      int first = chunk * SparseChunks.MOST_OUTPUTS;
      int n = Math.min(SparseChunks.MOST_OUTPUTS, outputs - first);
      kernels.sparseChunk(x, row, weights, chunk, first, n, scratch.storage());
      scratch.storage().getFloats(0, scores, 0, n);
      sink.take(chunk, first, scores, n);
      opened++;
    }
    touched.clear();
    return opened;
  }

  /** Marks the chunks that have weights for a feature. */
  private void touch(SparseChunks weights, int feature, int count) {
    int begin = weights.begins().getInt(feature);
    int rows = weights.begins().getInt(feature + 1L) - begin;
    if (rows > chunks.length) {
      chunks = new int[Math.max(rows, 2 * chunks.length)];
    }
    weights.chunks().getInts(begin, chunks, 0, rows);
    for (int i = 0; i < rows; i++) {
      if (chunks[i] < 0 || chunks[i] >= count) {
        touched.clear();
        throw new IllegalStateException("weights: the mapped file is damaged");
      }
      touched.set(chunks[i]);
    }
  }

  /** The classes of outputs that chunks are. */
  public static ClassTable table(int outputs) {
    int[] classOf = new int[outputs];
    Arrays.setAll(classOf, output -> output / SparseChunks.MOST_OUTPUTS);
    return ClassTable.inOrder(classOf, chunks(outputs), 1);
  }

  @Override
  public void close() {
    scratch.close();
  }
}
