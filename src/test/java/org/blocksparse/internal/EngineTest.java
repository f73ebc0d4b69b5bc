// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How work is cut. */
final class EngineTest {
  /** Up to rows that are too long for the memory of most machines. */
  @ParameterizedTest
  @ValueSource(
      ints = {
        1,
        63,
        64,
        65,
        127,
        128,
        2047,
        2048,
        2049,
        1_000_003,
        Integer.MAX_VALUE - 2047,
        Integer.MAX_VALUE - 2046,
        Integer.MAX_VALUE - 1,
        Integer.MAX_VALUE
      })
  void bandsFollowEachOtherToTheEnd(int size) {
    for (long wanted : new long[] {0, 1, 2, 3, 31, 32, 33, 1000}) {
      int width = Engine.bandWidth(size, wanted);
      String of = "bands of " + width + " of " + size;
      int bands = (int) ((size + (long) width - 1) / width);
      assertTrue(bands <= Math.max(1, wanted), of);
      int end = 0;
      for (int band = 0; band < bands; band++) {
        int begin = band * width;
        assertEquals(end, begin, of);
        end = Engine.bandEnd(begin, width, size);
        assertTrue(begin < end && end <= size, of + ": " + begin + " to " + end);
      }
      assertEquals(size, end, of);
    }
  }
}
