// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.List;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.tensors.OperandLease;

/**
 * Finds the outputs with the highest sums of sparse terms. Outputs with score 0 are left out.
 *
 * @param terms leased by the caller
 * @param table {@link #table} of as many outputs as a term has, or more
 */
public record SparseSearch(List<SparseTerm> terms, ClassTable table) {
  /** An estimate of the work for a row, in multiply-adds. */
  private static final long ROW_WORK = 1 << 14;

  /** Returns the number of chunks of outputs. */
  public static int chunks(int outputs) {
    return (int) ((outputs + SparseChunks.MOST_OUTPUTS - 1L) / SparseChunks.MOST_OUTPUTS);
  }

  /** Returns the chunks as classes of outputs. */
  public static ClassTable table(int outputs) {
    int[] classOf = new int[outputs];
    Arrays.setAll(classOf, output -> output / SparseChunks.MOST_OUTPUTS);
    return ClassTable.inOrder(classOf, chunks(outputs), 1);
  }

  /** Ranks rows by one term alone; the filter is checked, and leased. */
  public static SearchResult search(
      SparseTerm term, FilterLists filter, OperandLease lease, Candidates.Maker candidates) {
    OutputFilter allowed = filter.check(term.x().count(), term.outputs());
    filter.lease(lease);
    return new SparseSearch(List.of(term), term.table())
        .search(term.x().count(), allowed, candidates);
  }

  /** Returns the ranking of every row, with candidates made for each; operands were checked. */
  public SearchResult search(int batch, OutputFilter filter, Candidates.Maker candidates) {
    RowResults results = new RowResults(batch);
    OutputFilter.OfRow rowFilter = filter.in(table);
    Engine engine = terms.get(0).engine();
    engine.run(
        batch,
        ROW_WORK * batch,
        () -> new SparseScores(terms),
        (scores, first, last) -> {
          Offers offers = new Offers();
          for (int row = first; row < last; row++) {
            AllowedSlots allowed = rowFilter.of(row);
            Candidates found = candidates.make(0);
            offers.scored = 0;
            int opened =
                scores.forEach(
                    row,
                    allowed::any,
                    (chunk, begin, sums, n) -> offers.offer(allowed, chunk, begin, sums, n, found));
            results.put(row, found, opened, allowed);
            results.leaveOut(row, table.outputs() - offers.scored);
          }
        });
    return results.result();
  }

  /** Offers the outputs of chunks. */
  private static final class Offers {
    private final int[] outputs = new int[SparseChunks.MOST_OUTPUTS];
    private final float[] scores = new float[SparseChunks.MOST_OUTPUTS];

    /** The number of allowed outputs of the row with another score than 0. */
    int scored;

    void offer(AllowedSlots allowed, int chunk, int first, double[] sums, int n, Candidates found) {
      if (allowed.all(chunk)) {
        offer(first, sums, 0, n, found);
      } else {
        allowed.forEachRun(
            chunk, (begin, end) -> offer(first, sums, begin, Math.min(end, n), found));
      }
    }

    private void offer(int first, double[] sums, int begin, int end, Candidates found) {
      int count = 0;
      for (int q = begin; q < end; q++) {
        float score = (float) sums[q];
        if (score != 0) {
          outputs[count] = first + q;
          scores[count++] = score;
        }
      }
      scored += count;
      if (!found.isUndefined()) {
        found.offer(outputs, scores, scores, 0, count);
      }
    }
  }
}
