// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.BitSet;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.softmax.Workspace.Ints;

/**
 * Finds the most probable outputs without computing all of them.
 *
 * <p>For each row, classes are opened in descending order of P(class), until the next one cannot
 * hold an output that belongs into the ranking: P(output) = P(class) P(output | class) is at most
 * P(class), in floating point as well, since a log probability within the class is never positive.
 * So it is whether probabilities are made by a softmax or one by one. How many classes that takes
 * depends on how peaked P(class) is; in the worst case it is all of them.
 *
 * <p>Classes in which a {@link OutputFilter} leaves nothing are never opened; the others are
 * bounded by all that they hold, which is no less than what is allowed of them.
 *
 * <p>Rows search in rounds, so that rows that open the same class share the reading of its block.
 * First come the classes that are needed whatever they hold ({@link Candidates#needsMoreThan}),
 * then at most as many as were opened before, which at most doubles the work of the last round and
 * keeps the rounds few; or all at once, where nothing is likely to be ruled out ( {@link
 * RowSearchState#guesses}).
 */
final class TwoLevelSearch {
  /** The cost of looking at one result, or at one class, in multiply-adds. */
  private static final long LOOK_WORK = 16;

  /**
   * The cost of each output that a filter lists: its class and slot are looked up in large tables.
   */
  private static final long LIST_WORK = 256;

  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final Engine engine;
  private final long maxRound;

  TwoLevelSearch(TwoLevelSoftmax softmax, ClassTable table) {
    this.softmax = softmax;
    this.table = table;
    this.engine = softmax.engine();
    this.maxRound = softmax.maxRound();
  }

  /** Returns the ranking of every row of x, with candidates made for each. */
  public SearchResult search(
      Rows x, OutputFilter filter, Candidates.Maker candidates, Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    int[][] outputs = new int[batch][];
    float[][] logProbabilities = new float[batch][];
    int[] opened = new int[batch];
    BitSet undefined = new BitSet();
    BitSet filteredOut = new BitSet();
    OutputFilter.OfRow ofRow = filter.in(table);
    // Logits are kept beside what they become, where they are needed.
    long room = filter.renormalized() ? maxRound / 2 : maxRound;
    // One class of every row is always opened in a round.
    int step = softmax.rowsAtOnce(room);
    for (int begin = 0; begin < batch; begin += step) {
      int first = begin;
      Rows slice = x.slice(begin, Math.min(step, batch - begin));
      AllowedSlots[] allowed = allowed(slice, row -> ofRow.of(first + row), filter.listed());
      Rows classes;
      AllowedTotals totals = null;
      if (filter.renormalized()) {
        TwoLevelSoftmax.WithLogits both = softmax.classesWithLogits(slice, workspace);
        classes = both.logProbabilities();
        totals = new AllowedTotals(softmax, table, slice, both.logits(), allowed, room, workspace);
      } else {
        classes = softmax.classes(slice, true, workspace);
      }
      RowSearchState[] searches = begin(classes, allowed, totals, candidates, workspace);
      search(slice, classes, totals, searches, room, workspace);
      for (int r = 0; r < allowed.length; r++) {
        Candidates found = searches[r].candidates();
        found.finish();
        outputs[begin + r] = found.outputs();
        logProbabilities[begin + r] = found.logProbabilities();
        opened[begin + r] = searches[r].opened();
        undefined.set(begin + r, found.isUndefined());
        filteredOut.set(begin + r, searches[r].allowed().none());
      }
      workspace.searchBuffers().clear(allowed.length);
    }
    return new SearchResult(
        outputs, logProbabilities, opened, undefined, filteredOut, new int[batch]);
  }

  private AllowedSlots[] allowed(Rows x, OutputFilter.OfRow ofRow, long listed) {
    AllowedSlots[] allowed = new AllowedSlots[Math.toIntExact(x.count())];
    engine.run(
        allowed.length,
        LOOK_WORK * allowed.length * table.classes() + LIST_WORK * listed,
        (first, last) -> {
          for (int row = first; row < last; row++) {
            allowed[row] = ofRow.of(row);
          }
        });
    return allowed;
  }

  /** Runs rounds until all searches are done. */
  private void search(
      Rows x,
      Rows classes,
      AllowedTotals totals,
      RowSearchState[] searches,
      long maxRound,
      Workspace workspace) {
    int rows = Math.toIntExact(x.count());
    RowSearchState[] active = workspace.searchBuffers().active(rows);
    int count = unfinished(searches, rows, active);
    while (count > 0) {
      int[] starts = workspace.ints(Ints.REQUEST_STARTS, count + 1);
      int requests = openNext(active, count, starts, maxRound, workspace);
      int[] classOf = workspace.ints(Ints.REQUEST_CLASSES, requests);
      int[] readRow = workspace.ints(Ints.REQUEST_ROWS, requests);
      if (totals == null) {
        Rows results = softmax.open(x, classes, requests, readRow, classOf, true, workspace);
        offer(active, count, starts, classOf, results, workspace);
      } else {
        TwoLevelSoftmax.WithLogits both =
            softmax.openWithLogits(x, classes, requests, readRow, classOf, workspace);
        offer(active, count, starts, classOf, both, totals, workspace);
      }
      count = unfinished(active, count, active);
    }
  }

  /**
   * Opens the classes of a round.
   *
   * @param starts receives where the requests of each search begin
   * @return how many requests there are, which are in the workspace
   */
  private int openNext(
      RowSearchState[] active, int count, int[] starts, long maxRound, Workspace workspace) {
    long room = Math.max(1, maxRound / ((long) count * table.slots()));
    int requests = 0;
    for (int a = 0; a < count; a++) {
      RowSearchState search = active[a];
      int guesses = search.guesses();
      starts[a] = requests;
      while (requests - starts[a] < room
          && (search.needsNext() || (requests - starts[a] < guesses && !search.isDone()))) {
        workspace.append(Ints.REQUEST_ROWS, requests, search.row);
        workspace.append(Ints.REQUEST_CLASSES, requests, search.open(table, softmax.link()));
        requests++;
      }
    }
    starts[count] = requests;
    return requests;
  }

  private RowSearchState[] begin(
      Rows classes,
      AllowedSlots[] allowed,
      AllowedTotals totals,
      Candidates.Maker candidates,
      Workspace workspace) {
    int rows = allowed.length;
    RowSearchState[] searches = workspace.searchBuffers().searches(rows);
    long[] room = workspace.searchBuffers().classes(rows, table.classes());
    engine.run(
        rows,
        LOOK_WORK * rows * table.classes(),
        (first, last) -> {
          for (int row = first; row < last; row++) {
            double divisor = totals == null ? 0 : totals.log(row);
            Candidates ofRow = candidates.make(divisor);
            searches[row].begin(ofRow, allowed[row], classes, room);
            if (!Double.isFinite(divisor) && !allowed[row].none()) {
              ofRow.giveUp(); // there is nothing to divide by
            }
          }
        });
    return searches;
  }

  /** Offers requests [starts[a], starts[a + 1]) to the a-th active search. */
  private void offer(
      RowSearchState[] active,
      int count,
      int[] starts,
      int[] classOf,
      Rows results,
      Workspace workspace) {
    engine.run(
        count,
        LOOK_WORK * starts[count] * table.slots(),
        (first, last) -> {
          float[] logProbabilities = workspace.borrowRow(table.slots());
          for (int a = first; a < last; a++) {
            for (int request = starts[a]; request < starts[a + 1]; request++) {
              results.get(request, 0, logProbabilities, table.slots());
              active[a].take(classOf[request], table, logProbabilities, logProbabilities);
            }
          }
          workspace.giveBack(logProbabilities);
        });
  }

  /** Offers outputs with log probabilities among the allowed ones. */
  private void offer(
      RowSearchState[] active,
      int count,
      int[] starts,
      int[] classOf,
      TwoLevelSoftmax.WithLogits results,
      AllowedTotals totals,
      Workspace workspace) {
    engine.run(
        count,
        LOOK_WORK * starts[count] * table.slots(),
        (first, last) -> {
          float[] logProbabilities = workspace.borrowRow(table.slots());
          float[] divided = workspace.borrowRow(table.slots());
          for (int a = first; a < last; a++) {
            for (int request = starts[a]; request < starts[a + 1]; request++) {
              results.logProbabilities().get(request, 0, logProbabilities, table.slots());
              totals.divide(active[a].row, classOf[request], results.logits(), request, divided);
              active[a].take(classOf[request], table, logProbabilities, divided);
            }
          }
          workspace.giveBack(logProbabilities);
          workspace.giveBack(divided);
        });
  }

  /**
   * Puts the unfinished ones of some searches into {@code into}, which may be the same array.
   * Returns how many there are.
   */
  private static int unfinished(RowSearchState[] searches, int count, RowSearchState[] into) {
    int unfinished = 0;
    for (int i = 0; i < count; i++) {
      if (!searches[i].isDone()) {
        into[unfinished++] = searches[i];
      }
    }
    return unfinished;
  }
}
