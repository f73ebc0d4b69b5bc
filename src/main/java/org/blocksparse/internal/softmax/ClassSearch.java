// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;

/**
 * Finds the likeliest outputs without computing all of them.
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
 * keeps the rounds few.
 */
public final class ClassSearch {
  /**
   * Elements of results that one round may make, which bounds the memory of a search: 64 MB, or for
   * large layers a quarter of their weights, as each round may read all of them. Only the slots of
   * one class are allowed to be more.
   */
  private static final long MAX_ROUND = 1 << 24;

  /** Rows times classes that are searched at the same time: their heaps take eight bytes each. */
  private static final int MAX_HEAPS = 1 << 22;

  /** What looking at one result, or at one class, costs in multiply-adds. */
  private static final long LOOK_WORK = 16;

  /**
   * What each output costs that a filter lists: its class and slot are looked up in large tables.
   */
  private static final long LIST_WORK = 256;

  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final Engine engine;
  private final long maxRound;

  /** A search. */
  public ClassSearch(TwoLevelSoftmax softmax, ClassTable table) {
    this.softmax = softmax;
    this.table = table;
    this.engine = softmax.engine();
    this.maxRound = Math.max(MAX_ROUND, softmax.parameters().w2().elements() / 4);
  }

  /**
   * What was found for each row, best first.
   *
   * @param openedClasses how many classes were opened for each row
   * @param undefined the rows of which nothing can be said, since something that was computed for
   *     them is NaN; nothing was found there
   * @param filteredOut the rows in which the filter leaves nothing
   */
  public record Found(
      int[][] outputs,
      float[][] logProbabilities,
      int[] openedClasses,
      BitSet undefined,
      BitSet filteredOut) {}

  /** One row's search. */
  private static final class State {
    final int row;
    final Candidates candidates;
    final AllowedSlots allowed;

    /** The classes that are not open and hold what is allowed, the likeliest on top. */
    final LongHeap closed;

    int opened;

    /** What the outputs of opened classes have together at most. */
    double probability;

    State(int row, Candidates candidates, AllowedSlots allowed, float[] logProbabilities) {
      this.row = row;
      this.candidates = candidates;
      this.allowed = allowed;
      long[] classes = new long[logProbabilities.length];
      int count = 0;
      for (int c = 0; c < classes.length; c++) {
        if (Float.isNaN(logProbabilities[c])) {
          candidates.giveUp();
        }
        if (allowed.any(c)) {
          classes[count++] = Candidates.encode(c, logProbabilities[c]);
        }
      }
      this.closed = new LongHeap(classes, count);
    }

    /** What no output of a closed class exceeds. */
    private float bound() {
      return Candidates.logProbability(closed.min());
    }

    boolean isDone() {
      return closed.isEmpty() || candidates.isUndefined() || candidates.isDone(bound());
    }

    /** Whether the next class is needed, whatever was and will be found in those before it. */
    boolean needsNext() {
      return !closed.isEmpty() && candidates.needsMoreThan(probability, bound());
    }

    /** Takes what is allowed of a class that was opened. */
    void take(int classNumber, ClassTable table, float[] logProbabilities) {
      int[] members = table.members()[classNumber];
      allowed.forEachRun(
          classNumber,
          (begin, end) -> {
            if (!candidates.isUndefined()) {
              candidates.offer(members, logProbabilities, begin, end);
            }
          });
    }

    int open(ClassTable table, Link link) {
      float logProbability = bound();
      int classNumber = (int) closed.removeMin();
      probability += link.most(table.size(classNumber)) * Math.exp(logProbability);
      opened++;
      return classNumber;
    }
  }

  /** The ranking of every row of x, with candidates made for each. */
  public Found search(
      Rows x, OutputFilter filter, Candidates.Maker candidates, Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    int[][] outputs = new int[batch][];
    float[][] logProbabilities = new float[batch][];
    int[] opened = new int[batch];
    BitSet undefined = new BitSet();
    BitSet filteredOut = new BitSet();
    OutputFilter.OfRow ofRow = filter.in(table);
    // One class of every row is always opened in a round.
    int step = (int) Math.max(1, Math.min(MAX_HEAPS / table.classes(), maxRound / table.slots()));
    for (int begin = 0; begin < batch; begin += step) {
      int first = begin;
      Rows slice = x.slice(begin, Math.min(step, batch - begin));
      Rows classes = softmax.classes(slice, true, workspace);
      AllowedSlots[] allowed = allowed(slice, row -> ofRow.of(first + row), filter.listed());
      double[] logAllowed =
          filter.renormalised()
              ? new AllowedTotals(softmax, maxRound).of(slice, classes, allowed, workspace)
              : new double[allowed.length];
      State[] states = begin(classes, allowed, logAllowed, candidates);
      searchSlice(slice, classes, states, workspace);
      for (int r = 0; r < states.length; r++) {
        outputs[begin + r] = states[r].candidates.outputs();
        logProbabilities[begin + r] = states[r].candidates.logProbabilities();
        opened[begin + r] = states[r].opened;
        undefined.set(begin + r, states[r].candidates.isUndefined());
        filteredOut.set(begin + r, states[r].allowed.none());
      }
    }
    return new Found(outputs, logProbabilities, opened, undefined, filteredOut);
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

  private void searchSlice(Rows x, Rows classes, State[] states, Workspace workspace) {
    State[] active = unfinished(states);
    while (active.length > 0) {
      long room = Math.max(1, maxRound / ((long) active.length * table.slots()));
      int[] begin = new int[active.length + 1];
      IntStream.Builder readRows = IntStream.builder();
      IntStream.Builder openedClasses = IntStream.builder();
      for (int a = 0; a < active.length; a++) {
        State state = active[a];
        int guesses = Math.max(1, state.opened);
        int count = 0;
        while (count < room && (state.needsNext() || (count < guesses && !state.isDone()))) {
          readRows.add(state.row);
          openedClasses.add(state.open(table, softmax.link()));
          count++;
        }
        begin[a + 1] = begin[a] + count;
      }
      int[] readRow = readRows.build().toArray();
      int[] classOf = openedClasses.build().toArray();
      offer(active, begin, classOf, softmax.open(x, classes, readRow, classOf, true, workspace));
      active = unfinished(active);
    }
    for (State state : states) {
      state.candidates.finish();
    }
  }

  private State[] begin(
      Rows classes, AllowedSlots[] allowed, double[] logAllowed, Candidates.Maker candidates) {
    State[] states = new State[Math.toIntExact(classes.count())];
    engine.run(
        states.length,
        LOOK_WORK * states.length * table.classes(),
        (first, last) -> {
          float[] logProbabilities = new float[table.classes()];
          for (int row = first; row < last; row++) {
            classes.get(row, 0, logProbabilities);
            Candidates ofRow = candidates.make(logAllowed[row]);
            states[row] = new State(row, ofRow, allowed[row], logProbabilities);
            if (!Double.isFinite(logAllowed[row]) && !allowed[row].none()) {
              ofRow.giveUp(); // there is nothing to divide by
            }
          }
        });
    return states;
  }

  /** Offers requests [begin[a], begin[a + 1]) to the a-th active row. */
  private void offer(State[] active, int[] begin, int[] classOf, Rows results) {
    engine.run(
        active.length,
        LOOK_WORK * classOf.length * table.slots(),
        (first, last) -> {
          float[] logProbabilities = new float[table.slots()];
          for (int a = first; a < last; a++) {
            for (int request = begin[a]; request < begin[a + 1]; request++) {
              results.get(request, 0, logProbabilities);
              active[a].take(classOf[request], table, logProbabilities);
            }
          }
        });
  }

  private static State[] unfinished(State[] states) {
    return Arrays.stream(states).filter(state -> !state.isDone()).toArray(State[]::new);
  }
}
