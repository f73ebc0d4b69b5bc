// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.layers.GrowingLayer;

/** The memory of a bag, which growth replaces. */
final class HeldBag implements GrowingLayer {
  private volatile BagMemory memory;
  private volatile boolean closed;

  HeldBag(BagMemory memory) {
    this.memory = memory;
  }

  BagMemory memory() {
    return memory;
  }

  /**
   * Replaces the memory by a larger one. If the bag was closed in the meantime, closes the new
   * memory, too.
   */
  void replace(BagMemory grown) {
    BagMemory before = memory;
    memory = grown;
    before.close();
    if (closed) {
      grown.close();
    }
  }

  void close() {
    closed = true; // Set first: replace() then also closes memory that it installs later.
    memory.close();
  }

  @Override
  public SaveSettings.Part part(String prefix, NameTable names) {
    return BagFile.part(memory).under(prefix);
  }

  @Override
  public Grown grown(int n) {
    BagMemory grown = memory.grown(n, null);
    return new Grown() {
      @Override
      public void install() {
        replace(grown);
      }

      @Override
      public void close() {
        grown.close();
      }
    };
  }
}
