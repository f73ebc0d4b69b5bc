// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The number of rows and classes that are computed at a time, for all outputs and for opened
 * classes.
 */
final class TwoLevelSoftmaxTest {
  @ParameterizedTest
  @CsvSource({
    "1, 100, true, 2048",
    "316, 317, true, 384",
    "3162, 3163, true, 384",
    "316, 317, false, 334",
    "3162, 3163, false, 16"
  })
  void rowsAreEnoughForEachBlock(int classes, int slots, boolean direct, int expected) {
    assertEquals(expected, TwoLevelSoftmax.gridRows(classes, slots, direct));
  }

  /** A schedule takes some tens of heap bytes for each pair of a row and a class. */
  @ParameterizedTest
  @ValueSource(ints = {20_000, 1_000_000, 5_600_000, 200_000_000, Integer.MAX_VALUE - 8})
  void schedulesAreNotLargerThanAFewMillionPairs(int classes) {
    for (boolean direct : new boolean[] {false, true}) {
      long rows = TwoLevelSoftmax.gridRows(classes, 1, direct);
      assertTrue(rows >= 1 && (rows == 1 || rows * classes <= 1 << 22), rows + " rows");
    }
  }

  /** 64 MB of floats, or a quarter of the weights where that is more. */
  @ParameterizedTest
  @CsvSource({
    "1, 16777216",
    "67108864, 16777216",
    "67108867, 16777216",
    "67108868, 16777217",
    "8589934592, 2147483648"
  })
  void roundsGrowWithTheWeights(long weights, long expected) {
    assertEquals(expected, TwoLevelSoftmax.maxRound(weights));
  }
}
