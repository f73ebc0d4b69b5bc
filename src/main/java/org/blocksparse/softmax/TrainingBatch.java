// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.FloatRange;
import org.blocksparse.internal.kernels.Targets;
import org.blocksparse.internal.memory.Storage;

/**
 * The checked targets of a batch: the targets of a {@link TrainingPass}. Its arrays are those of a
 * {@link Workspace} and may be longer than their content.
 */
abstract sealed class TrainingBatch permits LabelSets, SingleTargets {
  private final int size;
  private final int rowCount;
  private final int[] rows;
  private final float[] weights;

  /**
   * Creates a batch.
   *
   * @param size the number of rows
   * @param rows the rows that count, ascending
   * @param weights (batch): the factor of each row's loss
   */
  TrainingBatch(int size, int rowCount, int[] rows, float[] weights) {
    this.size = size;
    this.rowCount = rowCount;
    this.rows = rows;
    this.weights = weights;
  }

  /** Returns the rows that count, ascending. */
  final int[] rows() {
    return rows;
  }

  /** Returns the number of rows whose weight is not 0. */
  final int rowCount() {
    return rowCount;
  }

  final float[] weights() {
    return weights;
  }

  /** Returns the number of rows, those that do not count included. */
  public final int size() {
    return size;
  }

  /** Returns the share of each row in the loss, given the losses of those that count. */
  public final float[] weighted(double[] losses) {
    float[] result = new float[size];
    for (int i = 0; i < rowCount; i++) {
      result[rows[i]] = FloatRange.nearestFinite(weights[rows[i]] * losses[i]);
    }
    return result;
  }

  /** Returns the loss, given the losses of the rows that count. */
  public final double sum(double[] losses) {
    double sum = 0;
    for (int i = 0; i < rowCount; i++) {
      sum += weights[rows[i]] * losses[i];
    }
    return sum;
  }

  // ----------------------------------------------------------------------------- opened classes

  /** Returns how often a row opens a class. */
  public abstract int openedCount();

  /** Returns each class that a row opens. */
  abstract int[] openedClasses();

  /** Returns the row that opens each opened class, ascending. */
  abstract int[] openingRows();

  /**
   * Returns the row of {@link #logitRowCount} in which the logits of each opened class are
   * computed; null if they are in order.
   */
  abstract int[] logitRows();

  abstract int logitRowCount();

  /**
   * Returns the end of the classes from {@code begin} on, at least one, that are opened at most
   * {@code mostOpened} times in all.
   *
   * @param classes the number of all classes
   */
  abstract int endOfClasses(int begin, int classes, long mostOpened, Workspace workspace);

  /**
   * Returns the same batch as if rows opened none but the classes [begin, end).
   *
   * @param workspace holds what was made before by this call no longer
   */
  abstract TrainingBatch ofClasses(int begin, int end, Workspace workspace);

  /**
   * Returns whether a row opens one class only, and its logits are computed in that same row: then
   * what the class adds to the gradient of x can be added there at once.
   */
  abstract boolean opensOnce();

  /** Adds the losses within opened classes to those of the rows that count. */
  abstract void addSlotLosses(Storage ofLogitRows, double[] losses);

  // ------------------------------------------------------------------------------------- losses

  /**
   * Returns the targets of the class level, whose rows are those of the batch.
   *
   * @param prior the distribution of smoothing; null if it is even
   */
  abstract Targets classTargets(Storage prior, Workspace workspace);

  /** Returns the targets within opened classes. */
  abstract Targets slotTargets(Workspace workspace);

  /** Returns the weights in memory of the workspace. */
  final Storage weights(Workspace workspace) {
    Storage storage = workspace.get(Workspace.Use.WEIGHTS, size);
    storage.putFloats(0, weights, 0, size);
    return storage;
  }
}
