// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.OuterProduct;
import org.blocksparse.internal.kernels.RowSums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * The gradients of the opened classes, not yet summed over the rows that opened them. A class has
 * the number of its position among the opened ones.
 *
 * @param schedule the rows of all opened classes
 * @param chunkStarts the first chunk of each class, and the end of the last
 * @param outer the same rows for outer products
 * @param logits the gradient with respect to the logits of the slots, (batch, slots)
 * @param toX makes the gradient with respect to x of the logits and W2; or null: nobody wants it
 */
record OpenedClassGradient(
    Kernels kernels,
    GemmSchedule schedule,
    int[] chunkStarts,
    OuterSchedule outer,
    Rows x,
    Rows logits,
    BlockProduct toX) {

  /** Returns the number of a class. */
  int classNumber(int position) {
    return outer.yBlock(position);
  }

  /** Writes what a class adds to the gradient with respect to x. */
  void writeX(int position) {
    if (toX != null) {
      int begin = chunkStarts[position];
      int end = chunkStarts[position + 1];
      kernels.products().blockGemm(toX, begin, end, 0, toX.w().outSize());
    }
  }

  /** Writes what a class adds to the gradient with respect to x, then adds that of W2 to W2. */
  void descend(OuterProduct weights, int position) {
    if (toX == null) {
      write(weights, position);
    } else {
      int begin = chunkStarts[position];
      int end = chunkStarts[position + 1];
      kernels.products().descend(toX, begin, end, weights, position);
    }
  }

  /** Returns a factor times the gradients of blocks of W2, written or added. */
  OuterProduct weights(float factor, boolean accumulate, Blocks into) {
    return new OuterProduct(outer, factor, x, logits, accumulate, into);
  }

  /** Computes the gradient of a class. */
  void write(OuterProduct weights, int position) {
    kernels.products().blockOuter(weights, position, position + 1, 0, weights.o().inSize());
  }

  /** Returns a factor times the gradients of rows of b2, added. */
  RowSums biases(float factor, Rows into) {
    return new RowSums(schedule, (int) logits.stride(), factor, logits, into);
  }

  /** Adds that of a class. */
  void add(RowSums biases, int position) {
    kernels.products().blockSum(biases, chunkStarts[position], chunkStarts[position + 1]);
  }
}
