// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.search.Addends;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.LongHeap;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RowResults;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

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

  /** Null: the log probabilities are the scores. */
  private final Addends.Maker addends;

  /**
   * A search of a model that is leased.
   *
   * @param addends what other scorers add to the log probabilities; null: nothing
   */
  LinearSearch(LinearModel model, Engine engine, Addends.Maker addends) {
    this.model = model;
    this.engine = engine;
    this.addends = addends;
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

    /** Null: nothing is added. */
    private Addends added;

    /** For each chunk, an upper bound of what is added to its labels; for addends. */
    private double[] addedBounds;

    /** The log probability of each chunk that was closed; for addends. */
    private float[] closedScores;

    /** Searches for a row, and returns how many clusters were opened. */
    int search(RowKernels kernels, Bags x, int row, AllowedSlots ofRow, Candidates candidates) {
      allowed = ofRow;
      found = candidates;
      closed.reset(firstClosed, 0, 0);
      if (addends != null && !allowed.none()) {
        begin(addends.of(row, model.table(), allowed));
      }
      if (!allowed.none()) {
        close(0, 0);
      }
      int opened = 0;
      while (!isDone()) {
        long next = closed.removeMin();
        int chunk = (int) next;
        int n = tree.size(chunk);
        kernels.sparseChunk(
            x, row, model.weights(), chunk, tree.outputBegins()[chunk], n, scratch.storage());
        scratch.storage().getFloats(0, margins, 0, n);
        float ofChunk = added == null ? Candidates.logProbability(next) : closedScores[chunk];
        if (chunk < tree.firstLeaf()) {
          descend(chunk, n, ofChunk);
        } else {
          opened++;
          offer(chunk, n, ofChunk);
          settle(opened);
        }
      }
      settle(0);
      return opened;
    }

    private boolean isDone() {
      return closed.isEmpty() || found.isUndefined() || found.isDone(closedBound());
    }

    /** An upper bound of labels in closed clusters. */
    private float closedBound() {
      float bound = Candidates.logProbability(closed.min());
      while (added != null && (int) closed.min() >= tree.firstLeaf()) { // whose bounds fall
        int chunk = (int) closed.min();
        addedBounds[chunk] = added.bound(chunk - tree.firstLeaf());
        float now = bound(chunk, closedScores[chunk]);
        if (!(now < bound)) {
          break;
        }
        closed.replaceMin(Candidates.encode(chunk, now));
        bound = Candidates.logProbability(closed.min());
      }
      return bound;
    }

    /**
     * Completes the scores of labels that may be better than those in closed clusters, then lowers
     * the bounds of these at most so many times.
     */
    private void settle(int times) {
      if (added == null) {
        return;
      }
      offerWaiting();
      for (int i = 0; i < times && !isDone() && advance(); i++) {
        offerWaiting();
      }
    }

    private boolean advance() {
      int cluster = (int) closed.min() - tree.firstLeaf();
      return cluster >= 0 && added.advance(cluster);
    }

    private void offerWaiting() {
      boolean isNext = true;
      while (isNext) {
        float limit = closed.isEmpty() ? Float.NEGATIVE_INFINITY : closedBound();
        isNext = added.offerNext(limit, found);
      }
    }

    private void begin(Addends ofRow) {
      added = ofRow;
      if (added.isUndefined()) {
        found.giveUp();
      }
      if (closedScores == null) {
        closedScores = new float[tree.chunks()];
        addedBounds = new double[tree.chunks()];
      }
      for (int chunk = tree.chunks() - 1; chunk >= 0; chunk--) { // after all below it
        if (chunk >= tree.firstLeaf()) {
          addedBounds[chunk] = added.bound(chunk - tree.firstLeaf());
        } else {
          double max = Double.NEGATIVE_INFINITY;
          for (int q = tree.outputBegins()[chunk]; q < tree.outputBegins()[chunk + 1]; q++) {
            max = Math.max(max, addedBounds[q + 1]);
          }
          addedBounds[chunk] = max;
        }
      }
    }

    /** An upper bound of the scores of a chunk's labels, given one of their log probabilities. */
    private float bound(int chunk, float logProbability) {
      return added == null ? logProbability : added.total(logProbability, addedBounds[chunk]);
    }

    private void close(int chunk, float logProbability) {
      int cluster = chunk - tree.firstLeaf();
      if (cluster < 0 || allowed.any(cluster)) {
        if (added != null) {
          closedScores[chunk] = logProbability;
        }
        closed.add(Candidates.encode(chunk, bound(chunk, logProbability)));
      }
    }

    /** Takes the chunks below an open one. */
    private void descend(int chunk, int n, float ofChunk) {
      Calibration calibration = model.calibrations().get(tree.levelOf(chunk));
      for (int q = 0; q < n; q++) {
        int below = tree.outputBegins()[chunk] + q + 1;
        // Most cannot hold a result, which is found without an exponential.
        if (found.isDone(bound(below, ofChunk + calibration.bound(margins[q])))) {
          continue;
        }
        float logProbability = ofChunk + calibration.logProbability(margins[q]);
        if (Float.isNaN(logProbability)) {
          found.giveUp();
          return;
        }
        close(below, logProbability);
      }
    }

    /** Offers the allowed labels of an open cluster. */
    private void offer(int chunk, int n, float ofChunk) {
      int cluster = chunk - tree.firstLeaf();
      if (added != null) {
        Calibration calibration = model.calibrations().get(tree.levels() - 1);
        for (int q = 0; q < n; q++) {
          float bound = ofChunk + calibration.bound(margins[q]);
          // An upper bound that is ruled out does as well as the score.
          ofLabels[q] =
              found.isDone(bound(chunk, bound))
                  ? bound
                  : ofChunk + calibration.logProbability(margins[q]);
        }
        added.offer(cluster, allowed, ofLabels, found);
      } else if (allowed.all(cluster)) {
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
