// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.function.Consumer;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.junit.jupiter.api.Test;

/** The schedules that a plan keeps until it is closed. */
final class BlockPlanTest {
  private static final int BATCH = 3;

  private static BlockPlan plan() {
    try (IntTensor inputs = IntTensor.of(new int[] {0, 1, 1, 2, 3, 0}, BATCH, 2);
        IntTensor outputs = IntTensor.of(new int[] {4, 0, 2, 1, 3, 0}, BATCH, 2)) {
      return BlockPlan.of(inputs, outputs, 4, 5);
    }
  }

  /** An operation for each kind of schedule that a plan may hold, made on first use. */
  @Test
  void whatWasUsedIsClosedAsAWhole() {
    try (FloatTensor W = FloatTensor.zeros(4, 5, 3, 2);
        FloatTensor h = FloatTensor.zeros(BATCH, 2, 3);
        FloatTensor b = FloatTensor.zeros(5, 2);
        FloatTensor gradOut = FloatTensor.zeros(BATCH, 2, 2)) {
      Map<String, Consumer<BlockPlan>> operations =
          Map.of(
              "apply",
                  plan -> SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)).close(),
              "gradH", plan -> SparseBlockDot.gradH(W, gradOut, plan).close(),
              "gradW", plan -> SparseBlockDot.gradW(h, gradOut, plan).close(),
              "gradBias", plan -> InputBias.gradBias(gradOut, null, plan).close());
      operations.forEach(
          (name, operation) -> {
            try (BlockPlan first = plan()) {
              operation.accept(first); // workers keep their buffers from now on
            }
            long before = FloatTensor.allocatedBytes();
            BlockPlan plan = plan();
            operation.accept(plan);
            plan.close();
            assertTrue(FloatTensor.allocatedBytes() <= before, name + ": a schedule was kept");
            String message =
                assertThrows(IllegalStateException.class, () -> operation.accept(plan), name)
                    .getMessage();
            assertEquals("plan: the plan is closed", message, name);
          });
    }
  }
}
