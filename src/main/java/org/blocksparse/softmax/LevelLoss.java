// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.GemmSchedule;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.Rows;
import org.blocksparse.internal.memory.Storage;

/** Makes gradients of the logits of a level, in place, and the losses of their rows. */
interface LevelLoss {
  void run(Kernels kernels, GemmSchedule schedule, int chunkBegin, int chunkEnd);

  /**
   * The operands.
   *
   * @param valid the elements of a row that take part, for each block, or null: all
   * @param prior what smoothing distributes by, or null: evenly
   * @param losses receives the loss of each row, not weighted
   */
  record Level(Storage valid, Storage prior, Storage losses, Rows logits) {
    int n() {
      return Math.toIntExact(logits.stride());
    }
  }
}
