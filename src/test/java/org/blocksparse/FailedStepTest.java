// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;

/** A step that ends before its first update, for lack of memory, does not count as taken. */
final class FailedStepTest {
  private static final Optimizer ADAM = Optimizer.adam(0.1f);

  private final AtomicBoolean failing = new AtomicBoolean();

  /** Returns workers whose kernels fail in one function while a flag is set. */
  private Workers workers(String kernel) {
    Kernels some =
        WatchedKernels.of(
            KernelChoice.kernels(),
            (called, arguments) -> {
              if (failing.get() && called.equals(kernel)) {
                throw new OutOfMemoryError("no memory for " + kernel);
              }
            });
    return KernelWorkers.of(Workers.callingThread(), some);
  }

  @Test
  void blocks() {
    float[] expected = null;
    for (boolean failed : new boolean[] {false, true}) {
      try (FloatTensor W = FloatTensor.of(new float[] {1, 2, 3, 4}, 1, 1, 2, 2);
          FloatTensor h = FloatTensor.of(new float[] {1, -1}, 1, 1, 2);
          FloatTensor gradOut = FloatTensor.of(new float[] {3, 0.5f}, 1, 1, 2);
          IntTensor zero = IntTensor.zeros(1, 1);
          BlockPlan plan = BlockPlan.of(zero, zero, 1, 1);
          BlockPlan some = plan.withWorkers(workers("blockOuter"));
          OptimizerState state = OptimizerState.of(W)) {
        for (float factor = 1; factor < 4; factor++) {
          h.fill(factor);
          failing.set(failed);
          if (failed) {
            assertThrows(
                OutOfMemoryError.class,
                () -> SparseBlockDot.stepW(h, gradOut, some, ADAM, W, state));
          }
          failing.set(false);
          SparseBlockDot.stepW(h, gradOut, some, ADAM, W, state);
        }
        expected = same(expected, W);
      }
    }
  }

  @Test
  void rowsOfABag() {
    float[] expected = null;
    for (boolean failed : new boolean[] {false, true}) {
      try (EmbeddingBag bag = EmbeddingBag.builder(3, 2).workers(workers("bagStep")).build();
          SparseRows rows = SparseRows.of(List.of(new int[] {0, 2}, new int[] {2}));
          FloatTensor gradOut = FloatTensor.of(new float[] {1, 2, 3, 4}, 2, 2)) {
        for (float factor = 1; factor < 4; factor++) {
          gradOut.fill(factor);
          failing.set(failed);
          if (failed) {
            assertThrows(OutOfMemoryError.class, () -> bag.step(rows, gradOut, ADAM));
          }
          failing.set(false);
          bag.step(rows, gradOut, ADAM);
        }
        expected = same(expected, bag.table());
      }
    }
  }

  private static float[] same(float[] expected, FloatTensor actual) {
    if (expected != null) {
      assertArrayEquals(expected, actual.toArray());
    }
    return actual.toArray();
  }
}
