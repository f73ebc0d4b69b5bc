// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import java.util.DoubleSummaryStatistics;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.TensorState;

/**
 * Moves the outputs of a layer from one table of classes to another: parameters and optimizer
 * state.
 *
 * <p>The weights of a class begin as the mean of those of the classes that its outputs come from,
 * weighted by how many do; in a label tree, the mean of what its outputs have is added. An output's
 * own weights get the difference between its old class's weights and the new, so that it keeps its
 * logits of both levels together. Biases are set such that, for x = 0, all probabilities stay as
 * they are ({@link MovedBiases}).
 *
 * <p>Where all outputs of a class stay together, every bit stays as it is. Outputs that were
 * nowhere get the mean of those in their class that were somewhere.
 */
final class Relocation {
  /** The cost of moving one number, in multiply-adds. */
  private static final long MOVE_WORK = 16;

  private final Engine engine;
  private final Link link;
  private final int features;
  private final Moves moves;
  private final ClassTable from;
  private final ClassTable to;

  /** Changes one row of a new class's numbers while they are moved. */
  private interface Change {
    float of(float value, int source);
  }

  /** Returns the change for each class and row. */
  private interface Changes {
    Change of(int c, int row);
  }

  /**
   * Creates a move.
   *
   * @param from the classes before, of the first outputs of {@code to}
   * @param to the classes after; every class has one that had a class
   */
  public Relocation(Engine engine, Link link, int features, ClassTable from, ClassTable to) {
    this.engine = engine;
    this.link = link;
    this.features = features;
    this.moves = new Moves(from, to);
    this.from = from;
    this.to = to;
  }

  /** Fills parameters with those of another table. */
  public void parameters(SoftmaxStorage old, SoftmaxStorage fresh) {
    moveClasses(old.w1(), fresh.w1(), features);
    if (link == Link.LOGISTIC) {
      addMeans(new SlotColumns(old.w2(), features, from.slots()), fresh.w1());
    }
    moveSlots(old.w2(), fresh.w2(), features, (c, row) -> ofWeights(c, row, old.w1(), fresh.w1()));
    MovedBiases biases = MovedBiases.of(link, moves, old);
    for (int c = 0; c < to.classes(); c++) {
      boolean whole = moves.isWhole(c);
      int first = moves.sources(c)[0];
      fresh.b1().putFloat(c, whole ? old.b1().getFloat(first) : biases.ofClass(c));
    }
    moveSlots(old.b2(), fresh.b2(), 1, (c, row) -> ofBiases(c, biases));
  }

  /**
   * Adds to the weights of a label tree's classes the means of those of their outputs: a class is
   * there if they are, whatever the classes were where they come from. (A softmax compares an
   * output with the others of its class alone, so that its weights say nothing of the class.)
   */
  private void addMeans(SlotColumns w2, Storage w1) {
    forEachRow(
        features,
        (c, row) -> {
          if (!moves.isWhole(c)) {
            DoubleSummaryStatistics values = new DoubleSummaryStatistics();
            moves.forEach(w2, row, c, (was, value) -> values.accept(value));
            long at = (long) row * to.classes() + c;
            w1.putFloat(at, (float) (w1.getFloat(at) + values.getAverage()));
          }
        });
  }

  /** Adds the surplus of the weights of an output's old class. */
  private Change ofWeights(int c, int row, Storage old, Storage fresh) {
    int[] sources = moves.sources(c);
    float[] more = new float[sources.length];
    float now = fresh.getFloat((long) row * to.classes() + c);
    for (int i = 0; i < more.length; i++) {
      more[i] = old.getFloat((long) row * from.classes() + sources[i]) - now;
    }
    return (value, source) -> more[source] == 0 ? value : value + more[source];
  }

  private Change ofBiases(int c, MovedBiases biases) {
    if (moves.isWhole(c)) {
      return (value, source) -> value;
    }
    int[] sources = moves.sources(c);
    return (value, source) -> biases.ofOutput(value, sources[source], c);
  }

  /** Moves a moment of each parameter; new outputs have none yet. */
  public void moments(SoftmaxStorage old, SoftmaxStorage fresh) {
    moveClasses(old.w1(), fresh.w1(), features);
    moveClasses(old.b1(), fresh.b1(), 1);
    moveSlots(old.w2(), fresh.w2(), features, null);
    moveSlots(old.b2(), fresh.b2(), 1, null);
  }

  /**
   * Moves the step counts with the outputs: a class gets the largest one, and the other outputs
   * keep corrections.
   */
  public void steps(TensorState old, TensorState fresh) {
    for (int c = 0; c < to.classes(); c++) {
      int[] sources = moves.sources(c);
      int[] sourceOf = moves.sourceOf(c);
      int[] oldSlots = moves.oldSlots(c);
      int[] ofSlots = new int[to.slots()];
      for (int slot = 0; slot < sourceOf.length; slot++) {
        if (sourceOf[slot] >= 0) {
          ofSlots[slot] = old.steps(sources[sourceOf[slot]], oldSlots[slot]);
        }
      }
      // The other slots have no output. They equal the first one, so that they need no read of
      // their own.
      Arrays.fill(ofSlots, sourceOf.length, ofSlots.length, ofSlots[0]);
      fresh.restoreSteps(c, ofSlots);
    }
  }

  /** Moves rows of numbers, one for each class. */
  private void moveClasses(Storage old, Storage fresh, int rows) {
    for (int row = 0; row < rows; row++) {
      for (int c = 0; c < to.classes(); c++) {
        int[] sources = moves.sources(c);
        double sum = 0;
        for (int i = 0; i < sources.length; i++) {
          sum += moves.weights(c)[i] * old.getFloat((long) row * from.classes() + sources[i]);
        }
        fresh.putFloat((long) row * to.classes() + c, (float) sum);
      }
    }
  }

  /**
   * Moves rows of numbers, one for each slot of each class. It goes row by row, since one row of
   * all classes fits into a cache, in whatever order it is read.
   *
   * @param changes the changes of the numbers; null if there are none, and new outputs have zeros
   */
  private void moveSlots(Storage old, Storage fresh, int rows, Changes changes) {
    forEachRow(
        rows,
        (c, row) -> {
          Change change = changes == null ? null : changes.of(c, row);
          moveSlots(c, row, old, fresh, rows, change);
        });
  }

  /** A task for a class and a row. */
  private interface RowTask {
    void run(int c, int row);
  }

  private void forEachRow(int rows, RowTask task) {
    engine.run(
        rows,
        MOVE_WORK * rows * to.live(),
        (first, last) -> {
          for (int row = first; row < last; row++) {
            for (int c = 0; c < to.classes(); c++) {
              task.run(c, row);
            }
          }
        });
  }

  private void moveSlots(int c, int row, Storage old, Storage fresh, int rows, Change change) {
    int[] sources = moves.sources(c);
    long[] begin = new long[sources.length];
    for (int i = 0; i < begin.length; i++) {
      begin[i] = ((long) sources[i] * rows + row) * from.slots();
    }
    int[] sourceOf = moves.sourceOf(c);
    int[] oldSlots = moves.oldSlots(c);
    float[] values = new float[sourceOf.length];
    double sum = 0;
    int moved = 0;
    for (int slot = 0; slot < values.length; slot++) {
      int source = sourceOf[slot];
      if (source >= 0) {
        float value = old.getFloat(begin[source] + oldSlots[slot]);
        values[slot] = change == null ? value : change.of(value, source);
        sum += values[slot];
        moved++;
      }
    }
    for (int slot = 0; slot < values.length; slot++) {
      if (sourceOf[slot] < 0) {
        values[slot] = change == null ? 0 : (float) (sum / moved);
      }
    }
    fresh.putFloats(((long) c * rows + row) * to.slots(), values, 0, values.length);
  }
}
