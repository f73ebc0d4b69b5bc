// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

/** Weights without elements, whose dimensions alone would be more than any memory. */
final class EmptyWeightsTest {
  @Test
  void theBiasIsAllThereIs() {
    int most = Integer.MAX_VALUE;
    try (FloatTensor W = FloatTensor.zeros(most, most, 0, 2);
        FloatTensor h = FloatTensor.zeros(1, 1, 0);
        FloatTensor o = FloatTensor.of(new float[] {5, 6}, 1, 1, 2);
        IntTensor idx = IntTensor.of(new int[] {most - 1}, 1, 1);
        BlockPlan plan = BlockPlan.of(idx, idx, most, most);
        FloatTensor sum = SparseBlockGemv.apply(o, W, h, plan);
        FloatTensor gradH = SparseBlockDot.gradH(W, o, plan)) {
      assertArrayEquals(new float[] {5, 6}, sum.toArray());
      assertArrayEquals(new float[0], gradH.toArray());
      SparseBlockOuter.applyInPlace(h, o, plan, 1, W);
    }
  }
}
