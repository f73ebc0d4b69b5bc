// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Targets;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.softmax.Workspace.Ints;
import org.blocksparse.softmax.Workspace.Use;

/**
 * Targets of a label tree: for each row any number of outputs that are present, all others being
 * absent. A row opens every class that holds one of its outputs. The outputs of a row are sorted by
 * class and slot; repeats count once.
 */
final class LabelSets extends TrainingBatch {
  /** The bounds of each row: row r opens classes [opened[r], opened[r + 1]), ascending. */
  private final int[] opened;

  private final int openedCount;
  private final int[] openedClasses;
  private final int[] openingRows;

  /**
   * The bounds of each opened class: the i-th has slots [slotStart[i], slotStart[i + 1]),
   * ascending.
   */
  private final int[] slotStart;

  private final int[] slots;

  /**
   * Creates the targets.
   *
   * @param offsets (batch + 1): row r has the outputs [offsets[r], offsets[r + 1])
   * @param outputs in any order; repeats count once
   * @param weights (batch): the factor of each row's loss; if that is 0, the row does not count
   * @param workspace the workspace of the call, whose arrays this uses
   */
  public LabelSets(
      int batch,
      int[] offsets,
      int[] outputs,
      float[] weights,
      ClassTable table,
      Workspace workspace) {
    super(
        batch,
        rowsThatCount(batch, weights, workspace.ints(Ints.ROWS, batch)),
        workspace.ints(Ints.ROWS, batch),
        weights);
    int entries = offsets[batch];
    this.opened = workspace.ints(Ints.OPENED_STARTS, batch + 1);
    this.openedClasses = workspace.ints(Ints.CLASSES, entries);
    this.openingRows = workspace.ints(Ints.OPENING_ROWS, entries);
    this.slotStart = workspace.ints(Ints.SLOT_STARTS, entries + 1);
    this.slots = workspace.ints(Ints.SLOTS, entries);
    int count = 0;
    int positives = 0;
    for (int r = 0; r < batch; r++) {
      opened[r] = count;
      int size = weights[r] == 0 ? 0 : offsets[r + 1] - offsets[r];
      long[] places = workspace.longs(size);
      putPlaces(outputs, offsets[r], size, table, places);
      long before = -1;
      for (int i = 0; i < size; i++) {
        long place = places[i];
        if (place == before) {
          continue;
        }
        int classNumber = (int) (place >>> 32);
        if (count == opened[r] || openedClasses[count - 1] != classNumber) {
          openedClasses[count] = classNumber;
          openingRows[count] = r;
          slotStart[count++] = positives;
        }
        slots[positives++] = (int) place;
        before = place;
      }
    }
    opened[batch] = count;
    slotStart[count] = positives;
    this.openedCount = count;
  }

  /** Creates the part of a batch whose rows open only the classes [begin, end). */
  private LabelSets(LabelSets all, int begin, int end, Workspace workspace) {
    super(all.size(), all.rowCount(), all.rows(), all.weights());
    this.opened = workspace.ints(Ints.SOME_OPENED_STARTS, size() + 1);
    this.openedClasses = workspace.ints(Ints.SOME_CLASSES, all.openedCount);
    this.openingRows = workspace.ints(Ints.SOME_OPENING_ROWS, all.openedCount);
    this.slotStart = workspace.ints(Ints.SOME_SLOT_STARTS, all.openedCount + 1);
    this.slots = workspace.ints(Ints.SOME_SLOTS, all.slotStart[all.openedCount]);
    int count = 0;
    int positives = 0;
    for (int r = 0; r < size(); r++) {
      opened[r] = count;
      for (int i = all.opened[r]; i < all.opened[r + 1]; i++) {
        if (all.openedClasses[i] < begin || all.openedClasses[i] >= end) {
          continue;
        }
        int there = all.slotStart[i + 1] - all.slotStart[i];
        System.arraycopy(all.slots, all.slotStart[i], slots, positives, there);
        openedClasses[count] = all.openedClasses[i];
        openingRows[count] = r;
        slotStart[count++] = positives;
        positives += there;
      }
    }
    opened[size()] = count;
    slotStart[count] = positives;
    this.openedCount = count;
  }

  private static int rowsThatCount(int batch, float[] weights, int[] rows) {
    int count = 0;
    for (int r = 0; r < batch; r++) {
      if (weights[r] != 0) {
        rows[count++] = r;
      }
    }
    return count;
  }

  /** Puts the class and the slot of each of some outputs, sorted. */
  private static void putPlaces(
      int[] outputs, int begin, int count, ClassTable table, long[] places) {
    for (int i = 0; i < count; i++) {
      int output = outputs[begin + i];
      places[i] = (long) table.classOf()[output] << 32 | table.slotOf()[output];
    }
    Arrays.sort(places, 0, count);
  }

  @Override
  public int openedCount() {
    return openedCount;
  }

  @Override
  int[] openedClasses() {
    return openedClasses;
  }

  @Override
  int[] openingRows() {
    return openingRows;
  }

  @Override
  int[] logitRows() {
    return null;
  }

  @Override
  int logitRowCount() {
    return openedCount;
  }

  @Override
  int endOfClasses(int begin, int classes, long mostOpened, Workspace workspace) {
    if (openedCount <= mostOpened) {
      return classes;
    }
    int[] ofClass = workspace.ints(Ints.OPENED_OF_CLASS, classes);
    Arrays.fill(ofClass, 0, classes, 0);
    for (int i = 0; i < openedCount; i++) {
      ofClass[openedClasses[i]]++;
    }
    int end = begin + 1;
    for (long sum = ofClass[begin]; end < classes && sum + ofClass[end] <= mostOpened; end++) {
      sum += ofClass[end];
    }
    return end;
  }

  @Override
  TrainingBatch ofClasses(int begin, int end, Workspace workspace) {
    return new LabelSets(this, begin, end, workspace);
  }

  @Override
  boolean opensOnce() {
    return false;
  }

  @Override
  void addSlotLosses(Storage ofLogitRows, double[] losses) {
    for (int i = 0; i < rowCount(); i++) {
      int row = rows()[i];
      for (int request = opened[row]; request < opened[row + 1]; request++) {
        losses[i] += ofLogitRows.getFloat(request);
      }
    }
  }

  @Override
  Targets classTargets(Storage prior, Workspace workspace) {
    Bags there =
        bags(size(), workspace, Use.CLASS_TARGET_OFFSETS, opened, Use.CLASS_TARGETS, openedClasses);
    return Targets.several(there, weights(workspace));
  }

  @Override
  Targets slotTargets(Workspace workspace) {
    Storage ofOpened = workspace.get(Use.SLOT_WEIGHTS, openedCount);
    for (int i = 0; i < openedCount; i++) {
      ofOpened.putFloat(i, weights()[openingRows[i]]);
    }
    Bags there =
        bags(openedCount, workspace, Use.SLOT_TARGET_OFFSETS, slotStart, Use.SLOT_TARGETS, slots);
    return Targets.several(there, ofOpened);
  }

  private static Bags bags(
      int count,
      Workspace workspace,
      Use useOffsets,
      int[] offsets,
      Use useIndices,
      int[] indices) {
    int entries = offsets[count];
    return new Bags(
        count,
        new Slice(put(workspace, useOffsets, offsets, count + 1), 0),
        new Slice(put(workspace, useIndices, indices, entries), 0),
        null,
        entries);
  }

  /** Copies integers into memory of the workspace. */
  private static Storage put(Workspace workspace, Use use, int[] values, int count) {
    Storage storage = workspace.get(use, count);
    storage.putInts(0, values, 0, count);
    return storage;
  }
}
