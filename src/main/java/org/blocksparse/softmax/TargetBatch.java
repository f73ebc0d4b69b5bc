// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.softmax.Workspace.Ints;

/** Checks the targets of a batch, and finds the rows that add to a loss, with their weights. */
final class TargetBatch {
  private TargetBatch() {}

  /**
   * Checks targets of a type.
   *
   * @param <T> the targets
   */
  interface Checker<T> {
    /**
     * Returns the checked batch, in memory of a workspace.
     *
     * @param batch the number of rows
     */
    TrainingBatch check(int batch, T targets, Loss loss, ClassTable classes, Workspace workspace);
  }

  /**
   * Returns the checked batch, in memory of a workspace.
   *
   * @param batch the number of rows
   * @throws IllegalArgumentException if a shape does not fit, a weight is not finite, or a target
   *     is retired
   * @throws IndexOutOfBoundsException if a target that is not ignored is outside [0, outputs)
   */
  static TrainingBatch check(
      int batch, IntTensor targets, Loss loss, ClassTable classes, Workspace workspace) {
    Check.shape("targets", targets, "(batch)", batch);
    int[] outputs = workspace.ints(Ints.TARGETS, batch);
    DenseInts.from(targets).get("targets", outputs);
    int counted = 0;
    for (int r = 0; r < batch; r++) {
      if (!loss.ignores(outputs[r])) {
        Check.index("targets", outputs[r], r, 0, "outputs", classes.outputs());
        if (classes.classOf()[outputs[r]] < 0) {
          throw new IllegalArgumentException("targets[" + r + "] = " + outputs[r] + " is retired");
        }
        counted++;
      }
    }
    float[] weights = weights(batch, loss, workspace.weights(batch));
    // A row of weight 0, or so little that its share of the mean is 0, counts among the mean's
    // rows, but needs no computation.
    int[] rows = workspace.ints(Ints.ROWS, batch);
    int[] classOf = workspace.ints(Ints.CLASSES, batch);
    int[] slotOf = workspace.ints(Ints.SLOTS, batch);
    int rowCount = 0;
    for (int r = 0; r < batch; r++) {
      if (loss.ignores(outputs[r])) {
        continue;
      }
      weights[r] *= loss.isMean() ? 1f / counted : 1f;
      if (weights[r] != 0) {
        rows[rowCount] = r;
        classOf[rowCount] = classes.classOf()[outputs[r]];
        slotOf[rowCount] = classes.slotOf()[outputs[r]];
        rowCount++;
      }
    }
    return new SingleTargets(batch, rowCount, rows, classOf, slotOf, weights, loss.smoothing());
  }

  /**
   * Returns the checked batch of a label tree, in memory of a workspace.
   *
   * @param batch the number of rows
   * @throws IllegalArgumentException if there are not as many rows of targets, or too many entries,
   *     a weight is not finite, or the loss has what is only for single targets
   * @throws IndexOutOfBoundsException if a target is outside [0, outputs)
   * @throws IllegalStateException if the targets are closed
   */
  static TrainingBatch check(
      int batch, SparseRows targets, Loss loss, ClassTable classes, Workspace workspace) {
    loss.requireForSets();
    CsrRows.from(requireNonNull(targets, "targets")).requireRows("targets", batch);
    try (OperandLease lease = CsrRows.from(targets).lease(new OperandLease(), "targets")) {
      CsrRows.from(targets).requireIndices("targets", "outputs", classes.outputs());
      int entries = Check.batch("targets", targets.entries(), "entries");
      int[] offsets = workspace.ints(Ints.TARGET_OFFSETS, batch + 1);
      int[] outputs = workspace.ints(Ints.TARGETS, entries);
      CsrRows.from(targets).getOffsets(offsets);
      CsrRows.from(targets).getIndices(outputs);
      requireLive(batch, offsets, outputs, classes);
      float[] weights = weights(batch, loss, workspace.weights(batch));
      for (int r = 0; loss.isMean() && r < batch; r++) {
        weights[r] /= batch;
      }
      return new LabelSets(batch, offsets, outputs, weights, classes, workspace);
    }
  }

  private static void requireLive(int batch, int[] offsets, int[] outputs, ClassTable classes) {
    for (int r = 0; r < batch; r++) {
      for (int i = offsets[r]; i < offsets[r + 1]; i++) {
        if (classes.classOf()[outputs[i]] < 0) {
          throw new IllegalArgumentException(
              "targets: index " + outputs[i] + " of row " + r + " is retired");
        }
      }
    }
  }

  /** Returns the caller's weights, by default 1, in an array that may be longer. */
  private static float[] weights(int batch, Loss loss, float[] weights) {
    if (loss.rowWeights() == null) {
      Arrays.fill(weights, 0, batch, 1);
      return weights;
    }
    Check.shape("rowWeights", loss.rowWeights(), "(batch)", batch);
    try (OperandLease lease = new OperandLease().of("rowWeights", loss.rowWeights())) {
      loss.rowWeights().get(0, weights, 0, batch);
      for (int r = 0; r < batch; r++) {
        if (!Float.isFinite(weights[r])) {
          Check.finite("rowWeights[" + r + "]", weights[r]); // the name costs a string
        }
      }
      return weights;
    }
  }
}
