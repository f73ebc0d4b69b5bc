// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.Blocks;
import org.blocksparse.internal.kernels.GemmSchedule;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.OuterSchedule;
import org.blocksparse.internal.kernels.Rows;

/**
 * The gradients of the opened classes, not yet summed over the rows that opened them. A class is
 * named by its position among the opened ones.
 *
 * @param schedule the rows of all opened classes
 * @param chunkStarts the first chunk of each class, and the end of the last
 * @param outer the same rows for outer products
 * @param logits the gradient with respect to the logits of the slots, (batch, slots)
 */
record OpenedClassGradient(
    Kernels kernels,
    GemmSchedule schedule,
    int[] chunkStarts,
    OuterSchedule outer,
    Rows x,
    Rows logits) {

  /** The number of a class. */
  int classNumber(int position) {
    return outer.yBlock(position);
  }

  /** Writes, or adds, a factor times the gradient of a class's block of W2. */
  void weights(int position, float factor, boolean accumulate, Blocks into) {
    kernels
        .products()
        .blockOuter(
            outer, position, position + 1, 0, into.inSize(), factor, x, logits, accumulate, into);
  }

  /** Adds a factor times the gradient of a class's row of b2. */
  void biases(int position, float factor, Rows into) {
    kernels
        .products()
        .blockSum(
            schedule,
            chunkStarts[position],
            chunkStarts[position + 1],
            (int) logits.stride(),
            factor,
            logits,
            into);
  }
}
