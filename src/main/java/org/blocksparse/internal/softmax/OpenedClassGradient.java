// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * The gradient of one opened class, not yet summed over the rows that opened it.
 *
 * @param schedule the rows of all opened classes
 * @param chunkBegin the first chunk of this class
 * @param chunkEnd the end of its chunks
 * @param outer the same rows for outer products
 * @param block the position of this class among the opened ones
 * @param logits the gradient with respect to the logits of the slots, (batch, slots)
 */
record OpenedClassGradient(
    Kernels kernels,
    GemmSchedule schedule,
    int chunkBegin,
    int chunkEnd,
    OuterSchedule outer,
    int block,
    Rows x,
    Rows logits) {

  /** The number of the class. */
  int classNumber() {
    return outer.yBlock(block);
  }

  /** Writes, or adds, a factor times the gradient of the class's block of W2. */
  void weights(float factor, boolean accumulate, Blocks into) {
    kernels.blockOuter(
        outer, block, block + 1, 0, into.inSize(), factor, x, logits, accumulate, into);
  }

  /** Adds a factor times the gradient of the class's row of b2. */
  void biases(float factor, Rows into) {
    kernels.blockSum(schedule, chunkBegin, chunkEnd, (int) logits.stride(), factor, logits, into);
  }
}
