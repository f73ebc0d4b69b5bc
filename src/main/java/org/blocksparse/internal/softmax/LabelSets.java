// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;
import org.blocksparse.internal.softmax.Workspace.Use;

/**
 * Targets of a label tree: for each row any number of outputs, which are there while the others are
 * not. A row opens every class that one of its outputs lives in.
 */
public final class LabelSets extends TrainingBatch {
  /** Row r opens classes [opened[r], opened[r + 1]), ascending. */
  private final int[] opened;

  private final int[] openedClasses;
  private final int[] openingRows;

  /** In the i-th opened class, slots [slotStart[i], slotStart[i + 1]) are there, ascending. */
  private final int[] slotStart;

  private final int[] slots;

  /**
   * Targets.
   *
   * @param offsets (batch + 1): row r has the outputs [offsets[r], offsets[r + 1])
   * @param outputs in any order; repeats count once
   * @param weights (batch): what the loss of each row is multiplied by; if that is 0, the row does
   *     not count
   */
  public LabelSets(int[] offsets, int[] outputs, float[] weights, ClassTable table) {
    this(offsets, outputs, weights, rowsThatCount(weights), table);
  }

  private LabelSets(int[] offsets, int[] outputs, float[] weights, int[] rows, ClassTable table) {
    super(weights.length, rows.length, rows, weights);
    int batch = weights.length;
    int[] classes = new int[outputs.length];
    int[] opening = new int[outputs.length];
    int[] start = new int[outputs.length + 1];
    int[] there = new int[outputs.length];
    this.opened = new int[batch + 1];
    int count = 0;
    int positives = 0;
    for (int r = 0; r < batch; r++) {
      opened[r] = count;
      long before = -1;
      for (long place :
          places(outputs, offsets[r], weights[r] == 0 ? offsets[r] : offsets[r + 1], table)) {
        if (place == before) {
          continue;
        }
        int classNumber = (int) (place >>> 32);
        if (count == opened[r] || classes[count - 1] != classNumber) {
          classes[count] = classNumber;
          opening[count] = r;
          start[count++] = positives;
        }
        there[positives++] = (int) place;
        before = place;
      }
    }
    opened[batch] = count;
    start[count] = positives;
    this.openedClasses = Arrays.copyOf(classes, count);
    this.openingRows = Arrays.copyOf(opening, count);
    this.slotStart = Arrays.copyOf(start, count + 1);
    this.slots = Arrays.copyOf(there, positives);
  }

  private static int[] rowsThatCount(float[] weights) {
    return IntStream.range(0, weights.length).filter(r -> weights[r] != 0).toArray();
  }

  /** Class and slot of each of outputs [begin, end), sorted. */
  private static long[] places(int[] outputs, int begin, int end, ClassTable table) {
    long[] places = new long[end - begin];
    for (int i = begin; i < end; i++) {
      int output = outputs[i];
      places[i - begin] = (long) table.classOf()[output] << 32 | table.slotOf()[output];
    }
    Arrays.sort(places);
    return places;
  }

  @Override
  public int openedCount() {
    return openedClasses.length;
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
    return openedClasses.length;
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
  LevelLoss classLoss(LevelLoss.Level level, Workspace workspace) {
    Bags there =
        bags(workspace, Use.CLASS_TARGET_OFFSETS, opened, Use.CLASS_TARGETS, openedClasses);
    return loss(level, there, weights(workspace));
  }

  @Override
  LevelLoss slotLoss(LevelLoss.Level level, Workspace workspace) {
    Storage ofOpened = workspace.get(Use.SLOT_WEIGHTS, openedClasses.length);
    for (int i = 0; i < openedClasses.length; i++) {
      ofOpened.putFloat(i, weights()[openingRows[i]]);
    }
    Bags there = bags(workspace, Use.SLOT_TARGET_OFFSETS, slotStart, Use.SLOT_TARGETS, slots);
    return loss(level, there, ofOpened);
  }

  private static Bags bags(
      Workspace workspace, Use useOffsets, int[] offsets, Use useIndices, int[] indices) {
    return new Bags(
        offsets.length - 1,
        new Slice(put(workspace, useOffsets, offsets), 0),
        new Slice(put(workspace, useIndices, indices), 0),
        null,
        indices.length);
  }

  /** Integers in memory of the workspace. */
  private static Storage put(Workspace workspace, Use use, int[] values) {
    Storage storage = workspace.get(use, values.length);
    storage.putInts(0, values, 0, values.length);
    return storage;
  }

  private static LevelLoss loss(LevelLoss.Level level, Bags positives, Storage weights) {
    return (kernels, schedule, begin, end) ->
        kernels.blockBinaryCrossEntropy(
            schedule,
            begin,
            end,
            level.n(),
            level.valid(),
            positives,
            weights,
            level.losses(),
            level.logits());
  }
}
