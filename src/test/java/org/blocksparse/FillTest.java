// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.FloatBuffer;
import org.blocksparse.testing.Guarded;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Filling writes every element and no other, on however many workers. */
final class FillTest {
  private static final int PIECE = 1 << 20;

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 4095, 4096, 4097, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7})
  void everyElement(int size) {
    try (Guarded memory = new Guarded()) {
      FloatTensor tensor = memory.of("tensor", new float[size], size);
      for (float value : new float[] {1.5f, -0f, Float.NaN}) {
        tensor.fill(value);
        FloatBuffer elements = tensor.asFloatBuffer();
        for (int i = 0; i < size; i++) {
          if (Float.floatToRawIntBits(elements.get(i)) != Float.floatToRawIntBits(value)) {
            assertEquals(value, elements.get(i), "element " + i);
          }
        }
      }
      memory.check();
    }
  }
}
