// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

final class ClassTableTest {
  /** Few outputs in classes of unequal size can have more slots than there are integers. */
  @Test
  void placesMayBeBeyondIntegers() {
    int slots = Integer.MAX_VALUE;
    ClassTable table =
        new ClassTable(
            new int[] {2, 0, -1, 1}, new int[] {0, 0, -1, 0}, new int[][] {{1}, {3}, {0}}, slots);
    assertArrayEquals(new long[] {2L * slots, 0, -1, slots}, table.places());
  }
}
