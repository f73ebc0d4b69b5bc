// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.products.SparseBlockDot;

/** Prints the back end, and computes 1 + 2 * 3 with it; the main class of child JVMs. */
public final class ProductProgram {
  private ProductProgram() {}

  public static void main(String[] args) {
    System.out.print(Backend.describe());
    System.out.println("1 + 2 * 3 = " + compute());
  }

  /** Returns 1 + 2 * 3. */
  public static float compute() {
    try (FloatTensor W = FloatTensor.of(new float[] {3}, 1, 1, 1, 1);
        FloatTensor h = FloatTensor.of(new float[] {2}, 1, 1, 1);
        FloatTensor b = FloatTensor.of(new float[] {1}, 1, 1);
        IntTensor idx = IntTensor.zeros(1, 1);
        FloatTensor out = SparseBlockDot.apply(W, h, idx, b, idx)) {
      return out.get(0, 0, 0);
    }
  }
}
