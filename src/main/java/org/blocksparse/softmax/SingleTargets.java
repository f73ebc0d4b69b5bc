// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.Targets;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.softmax.Workspace.Use;

/** The targets of a softmax: one for each row. */
final class SingleTargets extends TrainingBatch {
  private final int[] classes;
  private final int[] slots;
  private final float smoothing;

  /**
   * Creates the targets.
   *
   * @param size the number of rows
   * @param rowCount how many of them count
   * @param rows the rows that count, ascending
   * @param classes the class of the target of each row that counts
   * @param slots the slot of the target of each row that counts
   * @param weights (batch): what the loss of each row is multiplied by
   * @param smoothing the share of the loss that is on all classes and slots instead of the target
   */
  public SingleTargets(
      int size,
      int rowCount,
      int[] rows,
      int[] classes,
      int[] slots,
      float[] weights,
      float smoothing) {
    super(size, rowCount, rows, weights);
    this.classes = classes;
    this.slots = slots;
    this.smoothing = smoothing;
  }

  @Override
  public int openedCount() {
    return rowCount();
  }

  @Override
  int[] openedClasses() {
    return classes;
  }

  @Override
  int[] openingRows() {
    return rows();
  }

  @Override
  int[] logitRows() {
    return rows();
  }

  @Override
  int logitRowCount() {
    return size();
  }

  /** Returns all of them: the logits of a row take its place whichever class it opens. */
  @Override
  int endOfClasses(int begin, int classes, long mostOpened, Workspace workspace) {
    return classes;
  }

  @Override
  TrainingBatch ofClasses(int begin, int end, Workspace workspace) {
    return this;
  }

  @Override
  boolean opensOnce() {
    return true;
  }

  @Override
  void addSlotLosses(Storage ofLogitRows, double[] losses) {
    for (int i = 0; i < rowCount(); i++) {
      losses[i] += ofLogitRows.getFloat(rows()[i]);
    }
  }

  @Override
  Targets classTargets(Storage prior, Workspace workspace) {
    return targets(targets(workspace, Use.CLASS_TARGETS, classes), prior, workspace);
  }

  @Override
  Targets slotTargets(Workspace workspace) {
    return targets(targets(workspace, Use.SLOT_TARGETS, slots), null, workspace);
  }

  private Targets targets(Storage target, Storage prior, Workspace workspace) {
    return Targets.single(target, smoothing, prior, weights(workspace));
  }

  /** Returns the targets of all rows; ignored rows get target 0 and weight 0. */
  private Storage targets(Workspace workspace, Use use, int[] values) {
    Storage all = workspace.get(use, size());
    if (rowCount() < size()) {
      all.fill(0, size(), 0);
    }
    for (int r = 0; r < rowCount(); r++) {
      all.putInt(rows()[r], values[r]);
    }
    return all;
  }
}
