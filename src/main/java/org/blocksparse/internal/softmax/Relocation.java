// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.memory.Storage;

/**
 * Moves the outputs of a layer from one table of classes to another: parameters, and what an
 * optimizer keeps of them.
 *
 * <p>The weights of a class begin as the mean of those of the classes that its outputs come from,
 * weighted by how many do. What the weights of an output's old class had more is added to its own,
 * so that it keeps its logit as a whole, but for the sums by which classes are divided. Biases are
 * set such that, for x = 0, all probabilities stay as they are, sums included.
 *
 * <p>Where all outputs of a class stay together, every bit stays as it is. Outputs that were
 * nowhere get the mean of those in their class that were somewhere.
 */
public final class Relocation {
  /** What moving one number costs in multiply-adds. */
  private static final long MOVE_WORK = 16;

  private final Engine engine;
  private final int features;
  private final ClassTable from;
  private final ClassTable to;

  /** Of each old class, how many outputs are still somewhere. */
  private final int[] kept;

  /** For each new class those that its outputs come from, ascending. */
  private final int[][] sources;

  /** The weight of each source; they sum to 1. */
  private final double[][] weights;

  /** For each slot of a new class, which of the sources its output comes from; -1: none. */
  private final int[][] sourceOf;

  /** And from which slot. */
  private final int[][] oldSlots;

  /** What is added to a slot, by its old and its new class and the row. */
  private interface Difference {
    float of(int was, int classNumber, int row);
  }

  /**
   * A move.
   *
   * @param from where outputs were; the first of those in {@code to}
   * @param to where they will be; every class has one that was somewhere
   */
  public Relocation(Engine engine, int features, ClassTable from, ClassTable to) {
    this.engine = engine;
    this.features = features;
    this.from = from;
    this.to = to;
    this.kept = new int[from.classes()];
    this.sources = new int[to.classes()][];
    this.weights = new double[to.classes()][];
    this.sourceOf = new int[to.classes()][];
    this.oldSlots = new int[to.classes()][];
    for (int c = 0; c < to.classes(); c++) {
      int[] all =
          Arrays.stream(to.members()[c])
              .map(this::wasIn)
              .filter(was -> was >= 0)
              .sorted()
              .toArray();
      sources[c] = Arrays.stream(all).distinct().toArray();
      weights[c] = new double[sources[c].length];
      for (int was : all) {
        weights[c][Arrays.binarySearch(sources[c], was)] += 1.0 / all.length;
        kept[was]++;
      }
      if (sources[c].length == 1) {
        weights[c][0] = 1;
      }
      int[] members = to.members()[c];
      sourceOf[c] = new int[members.length];
      oldSlots[c] = new int[members.length];
      for (int slot = 0; slot < members.length; slot++) {
        int was = wasIn(members[slot]);
        sourceOf[c][slot] = was < 0 ? -1 : Arrays.binarySearch(sources[c], was);
        oldSlots[c][slot] = was < 0 ? -1 : from.slotOf()[members[slot]];
      }
    }
  }

  /** The class that an output comes from; -1 if it was nowhere. */
  private int wasIn(int output) {
    return output < from.outputs() ? from.classOf()[output] : -1;
  }

  /** Whether a new class has all outputs of an old one that are still somewhere, and no others. */
  private boolean isWhole(int c) {
    return sources[c].length == 1
        && kept[sources[c][0]]
            == Arrays.stream(to.members()[c]).filter(output -> wasIn(output) >= 0).count();
  }

  /** Fills parameters with those of another table. */
  public void parameters(SoftmaxStorage old, SoftmaxStorage fresh) {
    moveClasses(old.w1(), fresh.w1(), features);
    double[] shifts = shifts(old);
    for (int c = 0; c < to.classes(); c++) {
      fresh.b1().putFloat(c, isWhole(c) ? old.b1().getFloat(sources[c][0]) : bias(c, old, shifts));
    }
    double[] bases = new double[to.classes()];
    for (int c = 0; c < bases.length; c++) {
      for (int i = 0; i < sources[c].length; i++) {
        bases[c] += weights[c][i] * shifts[sources[c][i]];
      }
    }
    moveSlots(
        old.w2(),
        fresh.w2(),
        features,
        (was, c, row) ->
            old.w1().getFloat((long) row * from.classes() + was)
                - fresh.w1().getFloat((long) row * to.classes() + c));
    moveSlots(old.b2(), fresh.b2(), 1, (was, c, row) -> (float) (shifts[was] - bases[c]));
  }

  /** For each old class, what is to be added to b2 for the logarithm of a probability at x = 0. */
  private double[] shifts(SoftmaxStorage old) {
    LogSum[] sums = new LogSum[from.classes()];
    Arrays.setAll(sums, c -> new LogSum());
    for (int output = 0; output < from.outputs(); output++) {
      int was = from.classOf()[output];
      if (was >= 0 && to.classOf()[output] >= 0) {
        sums[was].add(oldBias(output, old));
      }
    }
    double[] shifts = new double[sums.length];
    Arrays.setAll(shifts, c -> old.b1().getFloat(c) - (kept[c] == 0 ? 0 : sums[c].log()));
    return shifts;
  }

  private float oldBias(int output, SoftmaxStorage old) {
    return old.b2().getFloat((long) from.classOf()[output] * from.slots() + from.slotOf()[output]);
  }

  /** The logarithm of what the outputs of a new class had together at x = 0. */
  private float bias(int c, SoftmaxStorage old, double[] shifts) {
    LogSum sum = new LogSum();
    for (int output : to.members()[c]) {
      if (wasIn(output) >= 0) {
        sum.add(shifts[wasIn(output)] + oldBias(output, old));
      }
    }
    return (float) sum.log();
  }

  /** The same with a moment of each parameter: of new outputs, there is none yet. */
  public void moments(SoftmaxStorage old, SoftmaxStorage fresh) {
    moveClasses(old.w1(), fresh.w1(), features);
    moveClasses(old.b1(), fresh.b1(), 1);
    moveSlots(old.w2(), fresh.w2(), features, null);
    moveSlots(old.b2(), fresh.b2(), 1, null);
  }

  /**
   * The steps that classes have taken: the fewest that one of its sources has, if it has any. An
   * optimizer that counts them then makes no step that is larger than it should be.
   */
  public int[] steps(int[] old) {
    int[] steps = new int[to.classes()];
    for (int c = 0; c < steps.length; c++) {
      steps[c] = Arrays.stream(sources[c]).map(was -> old[was]).filter(s -> s > 0).min().orElse(0);
    }
    return steps;
  }

  /** Rows of numbers, one for each class. */
  private void moveClasses(Storage old, Storage fresh, int rows) {
    for (int row = 0; row < rows; row++) {
      for (int c = 0; c < to.classes(); c++) {
        double sum = 0;
        for (int i = 0; i < sources[c].length; i++) {
          sum += weights[c][i] * old.getFloat((long) row * from.classes() + sources[c][i]);
        }
        fresh.putFloat((long) row * to.classes() + c, (float) sum);
      }
    }
  }

  /**
   * Rows of numbers, one for each slot of each class. Row by row, since what all classes have of
   * one row fits into a cache, in whatever order it is read.
   *
   * @param difference what is added; null: nothing, and new outputs have nothing
   */
  private void moveSlots(Storage old, Storage fresh, int rows, Difference difference) {
    engine.run(
        rows,
        MOVE_WORK * rows * to.live(),
        (first, last) -> {
          for (int row = first; row < last; row++) {
            for (int c = 0; c < to.classes(); c++) {
              moveSlots(c, row, old, fresh, rows, difference);
            }
          }
        });
  }

  private void moveSlots(
      int c, int row, Storage old, Storage fresh, int rows, Difference difference) {
    long[] begin = new long[sources[c].length];
    float[] more = new float[begin.length];
    for (int i = 0; i < begin.length; i++) {
      begin[i] = ((long) sources[c][i] * rows + row) * from.slots();
      more[i] = difference == null ? 0 : difference.of(sources[c][i], c, row);
    }
    float[] values = new float[sourceOf[c].length];
    double sum = 0;
    int moved = 0;
    for (int slot = 0; slot < values.length; slot++) {
      int source = sourceOf[c][slot];
      if (source >= 0) {
        float value = old.getFloat(begin[source] + oldSlots[c][slot]);
        values[slot] = more[source] == 0 ? value : value + more[source];
        sum += values[slot];
        moved++;
      }
    }
    for (int slot = 0; slot < values.length; slot++) {
      if (sourceOf[c][slot] < 0) {
        values[slot] = difference == null ? 0 : (float) (sum / moved);
      }
    }
    fresh.putFloats(((long) c * rows + row) * to.slots(), values, 0, values.length);
  }
}
