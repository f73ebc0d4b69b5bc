// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class TrainingPlanTest {
  @Test
  void stepsAreThoseOfBatchesWithRowsAndNoMoreThanALongHolds() {
    TrainingPlan plan =
        new TrainingPlan(
            EstimatorKind.SOFTMAX,
            1,
            3,
            new RowOrder(1, 3, false),
            new int[][] {{5, 0, 2}},
            new OptimizerSettings("sgd", 1, 0, 1));
    assertEquals(6, plan.stepsAfter(0));
    assertEquals(16, plan.stepsAfter(10));
    assertEquals(Long.MAX_VALUE, plan.stepsAfter(Long.MAX_VALUE - 6));
    assertEquals(Long.MAX_VALUE, plan.stepsAfter(Long.MAX_VALUE - 2)); // as a user's file may say
  }
}
