// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class GrowingArraysTest {
  @Test
  void anArrayWithRoomStaysItself() {
    int[] ints = new int[3];
    long[] longs = new long[3];
    float[] floats = new float[3];
    double[] doubles = new double[3];
    for (int elements = 0; elements <= 3; elements++) {
      assertSame(ints, GrowingArrays.ints(ints, elements));
      assertSame(longs, GrowingArrays.longs(longs, elements));
      assertSame(floats, GrowingArrays.floats(floats, elements));
      assertSame(doubles, GrowingArrays.doubles(doubles, elements));
    }
  }

  @ParameterizedTest
  @CsvSource({"0, 1, 1", "1, 2, 2", "10, 11, 15", "10, 15, 15", "10, 16, 16", "11, 12, 16"})
  void othersGetHalfAsMuchAgainOrWhatIsNeeded(int length, int elements, int grown) {
    assertEquals(grown, GrowingArrays.ints(new int[length], elements).length);
    assertEquals(grown, GrowingArrays.longs(new long[length], elements).length);
    assertEquals(grown, GrowingArrays.floats(new float[length], elements).length);
    assertEquals(grown, GrowingArrays.doubles(new double[length], elements).length);
  }
}
