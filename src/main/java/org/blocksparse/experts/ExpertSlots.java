// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import org.blocksparse.internal.kernels.PackedExperts;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.WeightType;

/**
 * The memory of a cache: slots for packed experts of one form. Kernels take slots in place of
 * experts.
 */
final class ExpertSlots {
  /** The form of the experts of a layer. */
  record Form(Panels w1, Panels w2, boolean b1) {
    static Form of(PackedExperts experts) {
      return new Form(panels(experts.w1()), panels(experts.w2()), experts.b1() != null);
    }

    private static Panels panels(Blocks blocks) {
      return new Panels(blocks.type(), blocks.inSize(), blocks.outSize());
    }

    /** Returns the bytes of the weights of an expert. */
    long bytesOfWeights() {
      return w1.blockBytes() + w2.blockBytes();
    }

    /** Returns the bytes of an expert. */
    long bytes() {
      long floats = scales(w1) + scales(w2) + (b1 ? w1.columns() : 0);
      return bytesOfWeights() + Float.BYTES * floats;
    }

    private static long scales(Panels panels) {
      return panels.type() == WeightType.PACKED_INT8 ? panels.columns() : 0;
    }

    @Override
    public String toString() {
      return w1.rows()
          + " -> "
          + w2.rows()
          + " -> "
          + w2.columns()
          + " of "
          + w1.type()
          + " and "
          + w2.type()
          + (b1 ? " with biases" : "");
    }
  }

  private final Form form;
  private final int count;
  private final boolean locked;
  private final Storage w1;
  private final Storage w2;

  // The tensor has no elements if there are no slots.
  private final Storage scales1;
  private final Storage scales2;
  private final Storage b1;

  /**
   * Creates slots in new memory.
   *
   * @param locked whether the weights stay in RAM
   * @throws OutOfMemoryError if it cannot be had
   * @throws IllegalStateException if the system does not lock it
   */
  ExpertSlots(Form form, int count, boolean locked) {
    this.form = form;
    this.count = count;
    this.locked = locked;
    Storage[] all =
        Storage.allocateAll(
            (count * form.w1.blockBytes() + 3) / 4,
            (count * form.w2.blockBytes() + 3) / 4,
            count * Form.scales(form.w1),
            count * Form.scales(form.w2),
            form.b1 ? (long) count * form.w1.columns() : 0);
    this.w1 = all[0];
    this.w2 = all[1];
    this.scales1 = all[2];
    this.scales2 = all[3];
    this.b1 = all[4];
    if (locked && !(w1.lock(true) && w2.lock(true))) {
      close();
      throw new IllegalStateException(
          "cache: the system does not lock "
              + count * form.bytes()
              + " bytes of memory; raise the limit of locked memory, or use ofBytes");
    }
  }

  Form form() {
    return form;
  }

  int count() {
    return count;
  }

  Storage w1() {
    return w1;
  }

  Storage w2() {
    return w2;
  }

  /** Returns the slots in place of the experts of a layer, without b2. */
  PackedExperts insteadOf(PackedExperts experts) {
    return new PackedExperts(
        blocks(form.w1, w1, 1, count, scales1),
        experts.format1(),
        form.b1 ? new Rows(b1, count, form.w1.columns()) : null,
        experts.function(),
        blocks(form.w2, w2, count, 1, scales2),
        experts.format2(),
        null);
  }

  private static Blocks blocks(
      Panels panels, Storage weights, int inBlocks, int outBlocks, Storage scales) {
    return Blocks.dense(weights, inBlocks, outBlocks, panels.rows(), panels.columns())
        .as(panels.type(), scales.elements() == 0 ? null : scales);
  }

  /** Copies the scales and the first bias of an expert to its slot. */
  void putScalesAndBias(PackedExperts experts, int expert, int slot) {
    if (scales1.elements() > 0) {
      copy(experts.w1().scales().storage(), expert, scales1, slot, form.w1.columns());
    }
    if (scales2.elements() > 0) {
      copy(experts.w2().scales().storage(), expert, scales2, slot, form.w2.columns());
    }
    if (form.b1) {
      copy(experts.b1().storage(), expert, b1, slot, form.w1.columns());
    }
  }

  private static void copy(Storage from, long row, Storage to, long toRow, int size) {
    float[] values = new float[size];
    from.getFloats(row * size, values, 0, size);
    to.putFloats(toRow * size, values, 0, size);
  }

  void close() {
    if (locked) {
      w1.lock(false);
      w2.lock(false);
    }
    Storage.closeAll(new Storage[] {w1, w2, scales1, scales2, b1});
  }
}
