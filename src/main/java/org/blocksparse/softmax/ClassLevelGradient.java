// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * The gradient of the class level, not yet summed over the rows.
 *
 * @param gemm the schedule of the rows that count, as for a dense layer
 * @param outer the same for outer products
 * @param logits the gradient with respect to the logits of the classes, (batch, classes)
 */
record ClassLevelGradient(
    Engine engine, GemmSchedule gemm, OuterSchedule outer, Rows x, Rows logits) {

  /** Writes, or adds, a factor times the gradient of W1. */
  void weights(float factor, boolean accumulate, Blocks into) {
    engine.outer(outer, factor, x, logits, accumulate, into);
  }

  /** Adds a factor times the gradient of b1. */
  void biases(float factor, Rows into) {
    engine.sum(gemm, (int) logits.stride(), factor, logits, true, into);
  }
}
