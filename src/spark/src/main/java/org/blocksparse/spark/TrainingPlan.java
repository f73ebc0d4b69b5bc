// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;

/**
 * The settings that all tasks of training share.
 *
 * @param features the features of a row
 * @param epochs how often training goes through all rows
 * @param rowsOfBatch the rows of batch of each order of {@link RowOrder#orders}, the rows of each
 *     batch
 */
@SuppressWarnings("ArrayRecordComponent")
record TrainingPlan(
    EstimatorKind kind,
    int features,
    int epochs,
    RowOrder order,
    int[][] rowsOfBatch,
    OptimizerSettings optimizer)
    implements Serializable {
  /** Returns the number of steps of the whole layer at the end, at most the largest long. */
  long stepsAfter(long before) {
    long steps = before;
    for (int epoch = 0; epoch < epochs; epoch++) {
      for (int rows : rowsOfBatch[order.order(epoch)]) {
        steps += rows > 0 && steps < Long.MAX_VALUE ? 1 : 0;
      }
    }
    return steps;
  }
}
