// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

  private static boolean isDenseAndInOrder(int[] classOf, int[] slotOf, int classes, int slots) {
    return new ClassTable(classOf, slotOf, new int[classes][], slots).isDenseAndInOrder();
  }

  @Test
  void denseAndInOrderIsEveryOutputWhereItsNumberSays() {
    int[] classOf = {0, 0, 0, 1, 1, 1};
    int[] slotOf = {0, 1, 2, 0, 1, 2};
    assertTrue(isDenseAndInOrder(classOf, slotOf, 2, 3));
    assertTrue(isDenseAndInOrder(new int[] {0, 1, 2}, new int[3], 3, 1));
    assertTrue(isDenseAndInOrder(new int[3], new int[] {0, 1, 2}, 1, 3));
    assertFalse(isDenseAndInOrder(classOf, new int[] {0, 1, 2, 0, 2, 1}, 2, 3), "slots");
    assertFalse(isDenseAndInOrder(new int[] {0, 0, 1, 1, 1, 0}, slotOf, 2, 3), "classes");
    assertFalse(isDenseAndInOrder(classOf, slotOf, 3, 3), "an empty class");
    assertFalse(
        isDenseAndInOrder(new int[] {0, 0, 0, 1, 1}, new int[] {0, 1, 2, 0, 1}, 2, 3),
        "an empty slot");
    assertFalse(isDenseAndInOrder(new int[] {-1, 0, 0}, new int[] {-1, 1, 2}, 1, 3), "retired");
  }
}
