// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import org.blocksparse.internal.memory.Storage;

/** The checked targets of a batch: what a {@link TrainingPass} trains towards. */
public abstract sealed class TrainingBatch permits LabelSets, SingleTargets {
  private final int[] rows;
  private final float[] weights;

  /**
   * A batch.
   *
   * @param rows the rows that count, ascending
   * @param weights (batch): what the loss of each row is multiplied by
   */
  TrainingBatch(int[] rows, float[] weights) {
    this.rows = rows;
    this.weights = weights;
  }

  /** The rows that count, ascending. */
  final int[] rows() {
    return rows;
  }

  final float[] weights() {
    return weights;
  }

  /** The number of rows, those that do not count included. */
  public final int size() {
    return weights.length;
  }

  /** What each row adds to the loss, given the losses of those that count. */
  public final float[] weighted(double[] losses) {
    float[] result = new float[weights.length];
    for (int i = 0; i < losses.length; i++) {
      result[rows[i]] = (float) (weights[rows[i]] * losses[i]);
    }
    return result;
  }

  /** The loss, given the losses of the rows that count. */
  public final double sum(double[] losses) {
    double sum = 0;
    for (int i = 0; i < losses.length; i++) {
      sum += weights[rows[i]] * losses[i];
    }
    return sum;
  }

  // ----------------------------------------------------------------------------- opened classes

  /** Each class that a row opens. */
  public abstract int[] openedClasses();

  /** For each opened class the row that opens it, ascending. */
  abstract int[] openingRows();

  /**
   * For each opened class the row that its logits are computed in, of {@link #logitRowCount}; null:
   * in order.
   */
  abstract int[] logitRows();

  abstract int logitRowCount();

  /**
   * Whether a row opens one class only, and its logits are computed in that same row: then what the
   * class adds to the gradient of x can be added there at once.
   */
  abstract boolean opensOnce();

  /** Adds the losses within opened classes to those of the rows that count. */
  abstract void addSlotLosses(Storage ofLogitRows, double[] losses);

  // ------------------------------------------------------------------------------------- losses

  /** The loss of the class level, whose rows are those of the batch. */
  abstract LevelLoss classLoss(LevelLoss.Level level, Workspace workspace);

  /** The loss within opened classes. */
  abstract LevelLoss slotLoss(LevelLoss.Level level, Workspace workspace);

  /** Floats in memory of the workspace. */
  static Storage put(Workspace workspace, Workspace.Use use, float[] values) {
    Storage storage = workspace.get(use, values.length);
    storage.putFloats(0, values, 0, values.length);
    return storage;
  }

  /** Integers in memory of the workspace. */
  static Storage put(Workspace workspace, Workspace.Use use, int[] values) {
    Storage storage = workspace.get(use, values.length);
    storage.putInts(0, values, 0, values.length);
    return storage;
  }
}
