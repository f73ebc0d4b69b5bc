///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import org.blocksparse.*;
import org.blocksparse.products.*;

class Blocks {
  public static void main(String[] args) {
    // 2 input and 3 output blocks of 2 elements each: W has 2 x 3 blocks of 2 x 2.
    // Block W[i, j] is filled with 10 i + j.
    float[] weights = {
      0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 10, 10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12
    };
    try (var W = FloatTensor.of(weights, 2, 3, 2, 2);
        var b = FloatTensor.of(new float[] {100, 100, 200, 200, 300, 300}, 3, 2);
        // 2 samples. Each brings 1 input block and wants 2 output blocks.
        var h = FloatTensor.of(new float[] {1, 2, 3, 4}, 2, 1, 2);
        var inputIdx = IntTensor.of(new int[] {0, 1}, 2, 1);
        var outputIdx = IntTensor.of(new int[] {2, 0, 1, 2}, 2, 2);
        var plan = BlockPlan.of(inputIdx, outputIdx, 2, 3);
        var out = SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b));
        var gradOut = FloatTensor.of(new float[] {1, 1, 1, 1, 1, 1, 1, 1}, 2, 2, 2);
        var gradH = SparseBlockDot.gradH(W, gradOut, plan)) {
      System.out.println(out.shape() + " " + out.get(1, 0, 0)); // (2, 2, 2) 277.0
      System.out.println(gradH.shape() + " " + gradH.get(1, 0, 0)); // (2, 1, 2) 46.0
      // Gradient descent on W touches only the 4 blocks that took part.
      SparseBlockDot.gradW(h, gradOut, plan, GradientOptions.add(-0.5f), W);
      System.out.println(W.shape() + " " + W.get(1, 2, 1, 0)); // (2, 3, 2, 2) 10.0
    }
  }
}
