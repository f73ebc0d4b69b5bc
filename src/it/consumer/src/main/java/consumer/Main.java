// SPDX-License-Identifier: Apache-2.0
package consumer;

import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.products.SparseBlockDot;

/** Multiplies as a user would, and fails unless the product is right. */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    // Two input and two output blocks of 2 elements; W[i, o] is (i + 2 o + 1) times the unit
    // matrix.
    float[] weights = new float[2 * 2 * 2 * 2];
    for (int block = 0; block < 4; block++) {
      float factor = block / 2 + 2 * (block % 2) + 1;
      weights[4 * block] = factor;
      weights[4 * block + 3] = factor;
    }
    try (FloatTensor W = FloatTensor.of(weights, 2, 2, 2, 2);
        FloatTensor h = FloatTensor.of(new float[] {1, 2, 3, 4}, 1, 2, 2);
        FloatTensor b = FloatTensor.of(new float[] {10, 20, 30, 40}, 2, 2);
        IntTensor inputIdx = IntTensor.of(new int[] {1, 0}, 1, 2);
        IntTensor outputIdx = IntTensor.of(new int[] {1}, 1, 1);
        FloatTensor out = SparseBlockDot.apply(W, h, inputIdx, b, outputIdx)) {
      // 30 + 4 * 1 + 3 * 3, 40 + 4 * 2 + 3 * 4
      float[] expected = {43, 60};
      float[] actual = out.toArray();
      System.out.println(
          "sparse_block_dot on "
              + System.getProperty("os.arch")
              + ", JDK "
              + Runtime.version().feature()
              + ": "
              + Arrays.toString(actual));
      if (!Arrays.equals(actual, expected)) {
        throw new AssertionError("expected " + Arrays.toString(expected));
      }
    }
  }
}
