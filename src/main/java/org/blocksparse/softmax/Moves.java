// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.search.ClassTable;

/** The moves of outputs from one table of classes to another. */
final class Moves {
  private final ClassTable from;
  private final ClassTable to;

  /** The number of outputs of each old class that still exist. */
  private final int[] kept;

  /** The old classes from which the outputs of each new class come, ascending. */
  private final int[][] sources;

  /** The weight of each source: its share of the outputs that had a class. */
  private final double[][] weights;

  /** The source of the output of each slot of a new class; -1 if it has none. */
  private final int[][] sourceOf;

  /** The old slot of the output of each slot of a new class. */
  private final int[][] oldSlots;

  private final boolean[] whole;

  /**
   * Creates all moves.
   *
   * @param from the classes before, of the first outputs of {@code to}
   * @param to the classes after; every class has one that had a class
   */
  Moves(ClassTable from, ClassTable to) {
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
    this.whole = new boolean[to.classes()];
    for (int c = 0; c < whole.length; c++) {
      long moved = Arrays.stream(sourceOf[c]).filter(source -> source >= 0).count();
      whole[c] = sources[c].length == 1 && kept[sources[c][0]] == moved;
    }
  }

  ClassTable from() {
    return from;
  }

  ClassTable to() {
    return to;
  }

  /** Returns the number of outputs of an old class that still exist. */
  int kept(int was) {
    return kept[was];
  }

  int[] sources(int c) {
    return sources[c];
  }

  double[] weights(int c) {
    return weights[c];
  }

  int[] sourceOf(int c) {
    return sourceOf[c];
  }

  int[] oldSlots(int c) {
    return oldSlots[c];
  }

  /** Returns the class that an output comes from; -1 if it had none. */
  private int wasIn(int output) {
    return output < from.outputs() ? from.classOf()[output] : -1;
  }

  /** Receives numbers of outputs, and the classes where they were. */
  interface Receiver {
    void accept(int was, float value);
  }

  /**
   * Passes one row of the old numbers of a new class's outputs, for the outputs that had a class.
   */
  void forEach(SlotColumns old, int row, int c, Receiver receiver) {
    for (int slot = 0; slot < sourceOf[c].length; slot++) {
      if (sourceOf[c][slot] >= 0) {
        int was = sources[c][sourceOf[c][slot]];
        receiver.accept(was, old.get(was, row, oldSlots[c][slot]));
      }
    }
  }

  /**
   * Returns whether a new class has all outputs of an old one that are still somewhere, and no
   * others.
   */
  boolean isWhole(int c) {
    return whole[c];
  }
}
