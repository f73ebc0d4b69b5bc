// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ClassCountTest {
  /** With very many rows for each class, only products count. */
  @Test
  void ofTheLargestBatchesTheSquareRootIsFastest() {
    for (int batch : new int[] {1 << 28, 1 << 30, Integer.MAX_VALUE}) {
      assertEquals(1000, ClassCount.REFERENCE.fastest(1_000_000, batch), 1);
    }
  }

  /**
   * The counts are worked out by hand: as many products as the class has, and each class that
   * occurs once.
   */
  @ParameterizedTest
  @CsvSource({
    // One row: one class occurs.
    "100, 10, 1, 2, 3, 150",
    "101, 10, 1, 2, 3, 159",
    // Two rows in two classes: 1 or 2 classes with probability 1/2 each, so 1.5 of them.
    "8, 2, 2, 1, 0, 36",
    "8, 2, 2, 0, 1, 6",
    "5, 5, 3, 2, 0, 108",
  })
  void theTimeOfAStep(
      int outputs, int classes, int batch, double product, double weight, double expected) {
    assertEquals(expected, new ClassCount(product, weight).nanos(outputs, classes, batch), 1e-9);
  }

  @Test
  void theNumberThatIsFastestIsAmongThoseNearTheSquareRoot() {
    ClassCount free = new ClassCount(0, 0);
    assertEquals(12, free.fastest(10_000, 1), "the least, where all cost the same");
    ClassCount weights = new ClassCount(0, 1);
    assertEquals(64, weights.fastest(64, 1), "the most, where one class occurs");
    assertEquals(1, free.fastest(1, 1));
  }
}
