// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Packs blocks of ggml into panels without changing their numbers. The rows of ggml's matrices are
 * the columns of a block of weights; several tensors stand side by side.
 */
public final class GgmlPanels {
  private final GgmlType type;
  private final Panels panels;
  private final Storage[] from;

  /** The number of columns of a block that one tensor fills. */
  private final int outputs;

  private GgmlPanels(GgmlType type, Panels panels, Storage[] from, int outputs) {
    this.type = type;
    this.panels = panels;
    this.from = from;
    this.outputs = outputs;
  }

  /**
   * Packs matrices into new memory.
   *
   * @param name the name of the matrices, for messages
   * @param type one of those that are packed
   * @param from the matrices of each tensor as they lie in a file; leased by the caller
   * @param inputs the inputs of a block: the columns of a matrix
   * @param outputs of a block that a tensor makes: the rows of a matrix
   * @throws IllegalArgumentException if a weight is not finite
   */
  public static StoredWeights pack(
      String name,
      GgmlType type,
      Storage[] from,
      long blocks,
      int inputs,
      int outputs,
      Scheduler scheduler) {
    Panels panels = new Panels(type.packed(), inputs, from.length * outputs);
    Storage packed = Storage.allocate(StoredWeights.words(panels, blocks));
    try {
      new GgmlPanels(type, panels, from, outputs).putAll(blocks, packed, scheduler);
      long infinite = panels.groupThatIsNotFinite(packed, blocks);
      if (infinite >= 0) {
        throw new IllegalArgumentException(
            name + ": a scale of group " + infinite + " makes weights infinite");
      }
      return new StoredWeights(panels.type(), packed, null);
    } catch (Throwable e) {
      packed.close();
      throw e;
    }
  }

  private void putAll(long blocks, Storage into, Scheduler scheduler) {
    long parts = blocks * panels.partsOfBlock();
    int tasks = (int) Math.min(parts, Integer.MAX_VALUE);
    scheduler.run(
        tasks,
        Scheduler.work(blocks * panels.groupsOfBlock(), Panels.PANEL_COLUMNS, Panels.GROUP_ROWS),
        (begin, end) -> {
          byte[] part = new byte[panels.partBytes(panels.partGroups())];
          GgmlBlocks block = new GgmlBlocks(type, type.blockSize());
          long last = PanelPacking.boundary(end, parts, tasks);
          for (long p = PanelPacking.boundary(begin, parts, tasks); p < last; p++) {
            make(p, block, part);
            into.putBytes(panels.partBegin(p), part, part.length);
          }
        });
  }

  /**
   * Fills the part with a number, counted over all blocks, from one ggml block for each row of the
   * panel.
   */
  private void make(long number, GgmlBlocks block, byte[] part) {
    long ofRow = panels.partsOfPanel();
    long panel = number / ofRow;
    int first = (int) (panel % panels.panels()) * Panels.PANEL_COLUMNS;
    int count = Math.min(Panels.PANEL_COLUMNS, panels.columns() - first);
    panels.clear(part);
    for (int q = 0; q < count; q++) {
      Storage tensor = from[(first + q) / outputs];
      long row = panel / panels.panels() * outputs + (first + q) % outputs;
      block.read(tensor, row * ofRow + number % ofRow);
      block.putScales(q, part);
      for (int p = 0; p < type.blockSize(); p++) {
        panels.putCode(part, p, q, block.code(p));
      }
    }
  }
}
