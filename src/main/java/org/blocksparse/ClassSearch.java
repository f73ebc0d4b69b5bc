// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.Scheduler;
import org.blocksparse.internal.TwoLevelSoftmax;
import org.blocksparse.internal.Workspace;

/**
 * Finds the likeliest outputs without computing all of them.
 *
 * <p>For each row, classes are opened in descending order of P(class), until the next one cannot
 * hold an output that belongs into the ranking: P(output) = P(class) P(output | class) is at most
 * P(class), in floating point as well, since a log probability within the class is never positive.
 * How many classes that takes depends on how peaked P(class) is; in the worst case it is all of
 * them.
 *
 * <p>Rows search in rounds, so that rows that open the same class share the reading of its block:
 * one class each at first, then as many as were opened before, which at most doubles the work of
 * the last round and keeps the rounds few.
 */
final class ClassSearch {
  /** Elements of results that one round may make, which bounds the memory of a search. */
  private static final long MAX_ROUND = 1 << 24;

  /** What looking at one result costs, in multiply-adds. */
  private static final long OFFER_WORK = 16;

  private final TwoLevelSoftmax softmax;
  private final ClassAssignment assignment;
  private final Scheduler scheduler;

  ClassSearch(TwoLevelSoftmax softmax, ClassAssignment assignment, Scheduler scheduler) {
    this.softmax = softmax;
    this.assignment = assignment;
    this.scheduler = scheduler;
  }

  /** One row's search. */
  private static final class State {
    final int row;
    final Candidates candidates;
    int opened;
    int next;
    float bound = Float.POSITIVE_INFINITY;

    State(int row, Candidates candidates) {
      this.row = row;
      this.candidates = candidates;
    }

    /** Moves {@link #next} to the likeliest class that comes after it; -1 if there is none. */
    void advance(Rows classes, int count) {
      int after = -1;
      float best = Float.NEGATIVE_INFINITY;
      for (int c = 0; c < count; c++) {
        float logProbability = classes.get(row, c);
        boolean comesLater = logProbability < bound || (logProbability == bound && c > next);
        if (comesLater && (after < 0 || logProbability > best)) {
          best = logProbability;
          after = c;
        }
      }
      next = after;
      bound = best;
    }

    boolean isDone() {
      return next < 0 || candidates.isDone(bound);
    }
  }

  /** The ranking of every row of x, with {@code candidates} made for each. */
  Ranking search(Rows x, Supplier<Candidates> candidates, Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    int classCount = assignment.classes();
    Rows classes = softmax.classes(x, true, workspace);
    State[] states = new State[batch];
    for (int r = 0; r < batch; r++) {
      states[r] = new State(r, candidates.get());
      states[r].advance(classes, classCount);
    }
    State[] active = unfinished(states);
    while (active.length > 0) {
      long room = Math.max(1, MAX_ROUND / Math.max(1, (long) active.length * assignment.slots()));
      int[] begin = new int[active.length + 1];
      IntStream.Builder readRows = IntStream.builder();
      IntStream.Builder openedClasses = IntStream.builder();
      for (int a = 0; a < active.length; a++) {
        State state = active[a];
        long wanted = Math.min(room, Math.max(1, state.opened));
        begin[a + 1] = begin[a];
        // Between rounds nothing is found, so only the end of the classes can stop a row here.
        for (long i = 0; i < wanted && state.next >= 0; i++) {
          readRows.add(state.row);
          openedClasses.add(state.next);
          begin[a + 1]++;
          state.opened++;
          state.advance(classes, classCount);
        }
      }
      int[] classOf = openedClasses.build().toArray();
      int[] readRow = readRows.build().toArray();
      offer(active, begin, classOf, softmax.open(x, classes, readRow, classOf, true, workspace));
      active = unfinished(active);
    }
    int[][] outputs = new int[batch][];
    float[][] logProbabilities = new float[batch][];
    int[] opened = new int[batch];
    for (State state : states) {
      state.candidates.finish();
      outputs[state.row] = state.candidates.outputs();
      logProbabilities[state.row] = state.candidates.logProbabilities();
      opened[state.row] = state.opened;
    }
    return new Ranking(outputs, logProbabilities, opened);
  }

  /** Offers requests [begin[a], begin[a + 1]) to the a-th active row. */
  private void offer(State[] active, int[] begin, int[] classOf, Rows results) {
    scheduler.run(
        active.length,
        classOf.length * OFFER_WORK * assignment.slots(),
        0,
        (first, last, scratch) -> {
          float[] values = new float[assignment.slots()];
          for (int a = first; a < last; a++) {
            for (int request = begin[a]; request < begin[a + 1]; request++) {
              results.get(request, 0, values);
              int size = assignment.size(classOf[request]);
              for (int slot = 0; slot < size; slot++) {
                active[a].candidates.offer(assignment.output(classOf[request], slot), values[slot]);
              }
            }
          }
        });
  }

  private static State[] unfinished(State[] states) {
    return Arrays.stream(states).filter(state -> !state.isDone()).toArray(State[]::new);
  }
}
