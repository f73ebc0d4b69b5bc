// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * The sums of sparse terms for a row. Only chunks that share a feature with the row are read; all
 * other outputs have score 0.
 *
 * <p>The memory of one worker.
 */
final class SparseScores implements Scheduler.Share {
  /** Receives the scores of a chunk. */
  interface Sink {
    /** Receives the scores [0, n) of outputs [first, first + n). */
    void take(int chunk, int first, double[] scores, int n);
  }

  /** Selects the chunks to read. */
  interface Wanted {
    boolean test(int chunk);
  }

  private final List<SparseTerm> terms;
  private final Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS);
  private final float[] ofTerm = new float[SparseChunks.MOST_OUTPUTS];
  private final double[] scores = new double[SparseChunks.MOST_OUTPUTS];

  /** The chunks of each term that share a feature with the row. */
  private final BitSet[] touched;

  private final BitSet ofAll = new BitSet();
  private int[] chunks = new int[64];

  SparseScores(List<SparseTerm> terms) {
    this.terms = terms;
    this.touched = new BitSet[terms.size()];
    Arrays.setAll(touched, t -> new BitSet());
  }

  /**
   * Computes the scores of all wanted chunks that share a feature with a row, in ascending order.
   *
   * @return how many these are
   * @throws IllegalStateException if a mapped file is damaged
   */
  int forEach(int row, Wanted wanted, Sink sink) {
    ofAll.clear();
    for (int t = 0; t < touched.length; t++) {
      touch(terms.get(t), row, touched[t]);
      ofAll.or(touched[t]);
    }
    int opened = 0;
    for (int chunk = ofAll.nextSetBit(0); chunk >= 0; chunk = ofAll.nextSetBit(chunk + 1)) {
      if (wanted.test(chunk)) {
        int first = chunk * SparseChunks.MOST_OUTPUTS;
        sink.take(chunk, first, scores, add(row, chunk, first));
        opened++;
      }
    }
    return opened;
  }

  /** Marks the chunks that have weights for a feature of a row. */
  private void touch(SparseTerm term, int row, BitSet marks) {
    marks.clear();
    int count = SparseSearch.chunks(term.outputs());
    SparseChunks weights = term.weights();
    for (int e = term.x().offsets().getInt(row); e < term.x().offsets().getInt(row + 1L); e++) {
      int feature = term.x().indices().getInt(e);
      int begin = weights.begins().getInt(feature);
      int rows = weights.begins().getInt(feature + 1L) - begin;
      if (rows > chunks.length) {
        chunks = new int[Math.max(rows, 2 * chunks.length)];
      }
      weights.chunks().getInts(begin, chunks, 0, rows);
      for (int i = 0; i < rows; i++) {
        if (chunks[i] < 0 || chunks[i] >= count) {
          throw new IllegalStateException("weights: the mapped file is damaged");
        }
        marks.set(chunks[i]);
      }
    }
  }

  /** Adds up a chunk, and returns how many outputs it has. */
  private int add(int row, int chunk, int first) {
    int count = 0;
    for (int t = 0; t < touched.length; t++) {
      if (touched[t].get(chunk)) {
        SparseTerm term = terms.get(t);
        int n = Math.min(SparseChunks.MOST_OUTPUTS, term.outputs() - first);
        term.engine()
            .kernels()
            .rows()
            .sparseChunk(term.x(), row, term.weights(), chunk, first, n, scratch.storage());
        scratch.storage().getFloats(0, ofTerm, 0, n);
        if (count < n) {
          Arrays.fill(scores, count, n, 0);
          count = n;
        }
        double factor = term.factor();
        for (int q = 0; q < n; q++) {
          scores[q] += factor * ofTerm[q];
        }
      }
    }
    return count;
  }

  @Override
  public void close() {
    scratch.close();
  }
}
