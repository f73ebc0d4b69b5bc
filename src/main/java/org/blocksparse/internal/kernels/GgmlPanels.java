// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/**
 * Blocks of ggml on their way to panels: matrices whose rows are the columns of a block of weights,
 * one after the other; of several tensors side by side. Q8_0, Q4_0 and MXFP4 keep their numbers.
 * Q4_K and Q6_K, which have scales of scales, are widened and rounded to Q8_0.
 */
public final class GgmlPanels {
  private final String name;
  private final GgmlType type;
  private final Panels panels;
  private final Storage[] from;

  /** Columns of a block that are rows of a matrix of one tensor. */
  private final int outputs;

  private final PanelPacking packing;

  /** Groups that blocks of a row of ggml make, which lie end to end in a panel. */
  private final int groups;

  private GgmlPanels(String name, GgmlType type, Panels panels, Storage[] from, int outputs) {
    this.name = name;
    this.type = type;
    this.panels = panels;
    this.from = from;
    this.outputs = outputs;
    this.packing = PanelPacking.ofColumns(name, panels);
    this.groups = type.blockSize() / Panels.GROUP_ROWS;
  }

  private static WeightType packedType(GgmlType type) {
    return switch (type) {
      case Q8_0, Q4_K, Q6_K -> WeightType.Q8_0;
      case Q4_0 -> WeightType.Q4_0;
      case MXFP4 -> WeightType.MXFP4;
      default -> throw new IllegalArgumentException(type.name());
    };
  }

  /**
   * Packs matrices into new memory.
   *
   * @param name of the matrices, for messages
   * @param type one of those that are packed
   * @param from the matrices of each tensor as they lie in a file; leased by the caller
   * @param inputs of a block: the columns of a matrix
   * @param outputs of a block that a tensor makes: the rows of a matrix
   * @throws IllegalArgumentException if a weight is not finite, or too large for Q8_0
   */
  public static StoredWeights pack(
      String name,
      GgmlType type,
      Storage[] from,
      long blocks,
      int inputs,
      int outputs,
      Engine engine) {
    Panels panels = new Panels(packedType(type), inputs, from.length * outputs);
    Storage packed = Storage.allocate(StoredWeights.words(panels, blocks));
    try {
      new GgmlPanels(name, type, panels, from, outputs).putAll(blocks, packed, engine);
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

  private void putAll(long blocks, Storage into, Engine engine) {
    long parts = blocks * panels.groupsOfBlock() / groups;
    int tasks = (int) Math.min(parts, Integer.MAX_VALUE);
    engine.run(
        tasks,
        Engine.work(parts * groups, Panels.PANEL_COLUMNS, Panels.GROUP_ROWS),
        (begin, end) -> {
          Part part = new Part();
          long last = PanelPacking.boundary(end, parts, tasks);
          for (long p = PanelPacking.boundary(begin, parts, tasks); p < last; p++) {
            part.make(p);
            part.put(p * groups, into);
          }
        });
  }

  /** The groups of a block of each row of a panel, made one after the other. */
  private final class Part {
    private final byte[][] made = new byte[groups][panels.groupBytes()];
    private final byte[] block = new byte[type.blockBytes()];
    private final float[] cells = new float[PanelPacking.CELLS];
    private final GgmlBlocks wide = new GgmlBlocks(type, type.blockSize());

    void put(long number, Storage into) {
      for (int g = 0; g < groups; g++) {
        into.putBytes((number + g) * made[g].length, made[g], made[g].length);
      }
    }

    /** Makes part `number` of all panels of all blocks. */
    void make(long number) {
      long ofRow = panels.rows() / type.blockSize();
      long panel = number / ofRow;
      int first = (int) (panel % panels.panels()) * Panels.PANEL_COLUMNS;
      int count = Math.min(Panels.PANEL_COLUMNS, panels.columns() - first);
      for (byte[] group : made) {
        panels.clear(group);
      }
      for (int q = 0; q < count; q++) {
        Storage tensor = from[(first + q) / outputs];
        long row = panel / panels.panels() * outputs + (first + q) % outputs;
        long at = row * ofRow + number % ofRow;
        if (groups == 1) {
          tensor.getBytes(at * block.length, block, block.length);
          copy(q);
        } else {
          round(tensor, at, q);
        }
      }
    }

    private void copy(int q) {
      byte[] group = made[0];
      int scale = panels.scaleBytes() / Panels.PANEL_COLUMNS;
      System.arraycopy(block, 0, group, q * scale, scale);
      if (panels.hasBytes()) {
        for (int p = 0; p < Panels.GROUP_ROWS; p++) {
          panels.putCode(group, p, q, block[scale + p] + 128);
        }
        return;
      }
      int half = Panels.GROUP_ROWS / 2;
      for (int p = 0; p < half; p++) {
        panels.putCode(group, p, q, block[scale + p] & 15);
        panels.putCode(group, half + p, q, block[scale + p] >> 4 & 15);
      }
    }

    private void round(Storage tensor, long at, int q) {
      long first = at * type.blockSize();
      int notFinite = wide.widen(tensor, first, type.blockSize());
      float[] floats = wide.floats();
      if (notFinite >= 0) {
        throw Narrowing.notFinite(name, first + notFinite, floats[notFinite], panels.type());
      }
      for (int g = 0; g < groups; g++) {
        for (int p = 0; p < Panels.GROUP_ROWS; p++) {
          cells[p * Panels.PANEL_COLUMNS + q] = floats[g * Panels.GROUP_ROWS + p];
        }
        packing.round(
            first + (long) g * Panels.GROUP_ROWS, 1, cells, Panels.GROUP_ROWS, q, made[g]);
      }
    }
  }
}
