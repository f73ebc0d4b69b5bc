// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.Bags;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.kernels.Scheduler;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.LongHeap;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RowResults;
import org.blocksparse.internal.search.SearchResult;

/**
 * Finds the likeliest labels of a linear label tree without computing all of them.
 *
 * <p>For each row, chunks are opened in descending order of their probability, from the first level
 * on, until the next one cannot hold a label that belongs into the ranking: the probability of an
 * output is that of its chunk times its own, in floating point as well, since no logarithm of a
 * probability is positive.
 */
final class LinearSearch {
  /** An estimate of the work for a row, in multiply-adds. */
  private static final long ROW_WORK = 1 << 14;

  private final LinearModel model;
  private final Engine engine;

  /** A search of a model that is leased. */
  public LinearSearch(LinearModel model, Engine engine) {
    this.model = model;
    this.engine = engine;
  }

  /** The ranking of every row, with candidates made for each; operands were checked. */
  public SearchResult search(Bags x, OutputFilter filter, Candidates.Maker candidates) {
    RowResults results = new RowResults(x.count());
    OutputFilter.OfRow ofRow = filter.in(model.table());
    RowKernels kernels = engine.kernels().rows();
    engine.run(
        x.count(),
        ROW_WORK * x.count(),
        Room::new,
        (room, first, last) -> {
          for (int row = first; row < last; row++) {
            AllowedSlots allowed = ofRow.of(row);
            Candidates found = candidates.make(0);
            int opened = room.search(kernels, x, row, allowed, found);
            results.put(row, found, opened, allowed);
          }
        });
    return results.result();
  }

  /** Buffers of a worker, and the search of its current row. */
  private final class Room implements Scheduler.Share {
    private final ChunkTree tree = model.tree();
    private final Scratch scratch = Scratch.borrow(SparseChunks.MOST_OUTPUTS);
    private final float[] margins = new float[SparseChunks.MOST_OUTPUTS];
    private final int[] labels = new int[SparseChunks.MOST_OUTPUTS];
    private final float[] ofLabels = new float[SparseChunks.MOST_OUTPUTS];
    private final long[] firstClosed = new long[64];

    /** Chunks that are not open, the likeliest on top. */
    private final LongHeap closed = new LongHeap();

    private AllowedSlots allowed;
    private Candidates found;

    /** Searches for a row, and returns how many clusters were opened. */
    int search(RowKernels kernels, Bags x, int row, AllowedSlots ofRow, Candidates candidates) {
      allowed = ofRow;
      found = candidates;
      closed.reset(firstClosed, 0, 0);
      if (!allowed.none()) {
        close(0, 0);
      }
      int opened = 0;
      while (!closed.isEmpty()
          && !found.isUndefined()
          && !found.isDone(Candidates.logProbability(closed.min()))) {
        long next = closed.removeMin();
        int chunk = (int) next;
        int n = tree.size(chunk);
        kernels.sparseChunk(
            x, row, model.weights(), chunk, tree.outputBegins()[chunk], n, scratch.storage());
        scratch.storage().getFloats(0, margins, 0, n);
        if (chunk < tree.firstLeaf()) {
          descend(chunk, n, Candidates.logProbability(next));
        } else {
          opened++;
          offer(chunk, n, Candidates.logProbability(next));
        }
      }
      return opened;
    }

    private void close(int chunk, float logProbability) {
      int cluster = chunk - tree.firstLeaf();
      if (cluster < 0 || allowed.any(cluster)) {
        closed.add(Candidates.encode(chunk, logProbability));
      }
    }

    /** Takes the chunks below an open one. */
    private void descend(int chunk, int n, float ofChunk) {
      Calibration calibration = model.calibrations().get(tree.levelOf(chunk));
      for (int q = 0; q < n; q++) {
        // Most cannot hold a result, which is found without an exponential.
        if (found.isDone(ofChunk + calibration.bound(margins[q]))) {
          continue;
        }
        float logProbability = ofChunk + calibration.logProbability(margins[q]);
        if (Float.isNaN(logProbability)) {
          found.giveUp();
          return;
        }
        close(tree.outputBegins()[chunk] + q + 1, logProbability);
      }
    }

    /** Offers the allowed labels of an open cluster. */
    private void offer(int chunk, int n, float ofChunk) {
      int cluster = chunk - tree.firstLeaf();
      if (allowed.all(cluster)) {
        offer(chunk, 0, n, ofChunk);
      } else {
        allowed.forEachRun(cluster, (begin, end) -> offer(chunk, begin, end, ofChunk));
      }
    }

    private void offer(int chunk, int begin, int end, float ofChunk) {
      Calibration calibration = model.calibrations().get(tree.levels() - 1);
      int firstLabel = tree.outputBegins()[chunk] - (tree.chunks() - 1);
      int count = 0;
      for (int q = begin; q < end; q++) {
        if (!found.isDone(ofChunk + calibration.bound(margins[q]))) {
          labels[count] = tree.labels()[firstLabel + q];
          ofLabels[count++] = ofChunk + calibration.logProbability(margins[q]);
        }
      }
      if (!found.isUndefined()) {
        found.offer(labels, ofLabels, ofLabels, 0, count);
      }
    }

    @Override
    public void close() {
      scratch.close();
    }
  }
}
