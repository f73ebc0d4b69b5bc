// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.SplittableRandom;
import org.blocksparse.internal.memory.Rows;

/**
 * Sets a random share of elements to zero, and scales the others so that the expected value stays.
 *
 * @param share in [0, 1); 0: nothing is dropped
 * @param seed equal seeds drop the same elements
 */
record Dropout(float share, long seed) {
  static final Dropout NONE = new Dropout(0, 0);

  boolean isNone() {
    return share == 0;
  }

  /** Copies rows without what is dropped; {@code to} may be {@code from}. */
  void copy(Rows from, Rows to, int size) {
    SplittableRandom random = new SplittableRandom(seed);
    float scale = 1 / (1 - share);
    long dropped = (long) (share * (1L << 32));
    float[] values = new float[size];
    for (long row = 0; row < from.count(); row++) {
      from.get(row, 0, values);
      for (int i = 0; i < size; i++) {
        // All bits are set if the element is kept: a branch would be mispredicted too often.
        int kept = ~(int) ((Integer.toUnsignedLong(random.nextInt()) - dropped) >> 63);
        values[i] = Float.intBitsToFloat(Float.floatToRawIntBits(values[i] * scale) & kept);
      }
      to.put(row, 0, values);
    }
  }
}
