// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.kernels.Bags;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RowResults;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.search.SparseScores;

/** Finds the outputs of sparse weights with the highest scores. */
final class SparseSearch {
  /** An estimate of the work for a row, in multiply-adds. */
  private static final long ROW_WORK = 1 << 14;

  private final SparseModel model;
  private final Engine engine;

  /** A search of a model that is leased. */
  SparseSearch(SparseModel model, Engine engine) {
    this.model = model;
    this.engine = engine;
  }

  /** The ranking of every row, with candidates made for each; operands were checked. */
  SearchResult search(Bags x, OutputFilter filter, Candidates.Maker candidates) {
    RowResults results = new RowResults(x.count());
    OutputFilter.OfRow rowFilter = filter.in(model.table());
    engine.run(
        x.count(),
        ROW_WORK * x.count(),
        () -> new SparseScores(engine.kernels().rows()),
        (scores, first, last) -> {
          int[] outputs = new int[SparseChunks.MOST_OUTPUTS];
          for (int row = first; row < last; row++) {
            AllowedSlots allowed = rowFilter.of(row);
            Candidates found = candidates.make(0);
            int opened =
                scores.forEach(
                    x,
                    row,
                    model.weights(),
                    allowed,
                    (chunk, begin, ofChunk, n) ->
                        offer(allowed, chunk, begin, ofChunk, n, outputs, found));
            results.put(row, found, opened, allowed);
          }
        });
    return results.result();
  }

  /** Offers the allowed outputs of a chunk that have a score. */
  private static void offer(
      AllowedSlots allowed,
      int chunk,
      int first,
      float[] scores,
      int n,
      int[] outputs,
      Candidates found) {
    if (allowed.all(chunk)) {
      offer(first, scores, 0, n, outputs, found);
    } else {
      allowed.forEachRun(chunk, (begin, end) -> offer(first, scores, begin, end, outputs, found));
    }
  }

  /** Moves those that have a score to the front, which is only before what is still to be read. */
  private static void offer(
      int first, float[] scores, int begin, int end, int[] outputs, Candidates found) {
    int count = begin;
    for (int q = begin; q < end; q++) {
      if (scores[q] != 0) {
        outputs[count] = first + q;
        scores[count++] = scores[q];
      }
    }
    if (!found.isUndefined()) {
      found.offer(outputs, scores, scores, begin, count);
    }
  }
}
