// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import org.junit.jupiter.api.Test;

/** The cached form of a list of outputs: its lifetime, and its table. */
final class SharedOutputsTest {
  private final SharedOutputs outputs = new SharedOutputs(new int[] {4, 0, 2, 4});

  /**
   * Returns a table with outputs 0 and 1 in class 0 and 2 to 4 in class 1, in reverse slots if it
   * is turned.
   */
  private static ClassTable table(boolean turned) {
    return new ClassTable(
        new int[] {0, 0, 1, 1, 1},
        turned ? new int[] {1, 0, 2, 1, 0} : new int[] {0, 1, 0, 1, 2},
        turned ? new int[][] {{1, 0}, {4, 3, 2}} : new int[][] {{0, 1}, {2, 3, 4}},
        3);
  }

  @Test
  void theLastTableIsKept() {
    ClassTable one = table(false);
    ClassTable other = table(true);
    assertFalse(outputs.in(one).isAscending());
    SlotList ofOne = outputs.in(one);
    assertTrue(ofOne.isAscending());
    assertSame(ofOne, outputs.in(one));
    assertArrayEquals(new int[] {0}, ofOne.sorted(0));
    assertArrayEquals(new int[] {0, 2}, ofOne.sorted(1));
    assertArrayEquals(new int[] {1}, outputs.in(other).sorted(0));
    assertArrayEquals(new int[] {0, 2}, outputs.in(other).sorted(1));
    // An equal table is another table: the contents of its arrays are not compared.
    assertNotSame(outputs.in(other), outputs.in(table(true)));
    assertArrayEquals(new int[] {0}, outputs.in(one).sorted(0));
  }

  @Test
  void repeatsAreGone() {
    SlotList once = SlotList.of(table(false), new int[] {4, 0, 2, 4});
    assertEquals(4, once.size());
    assertEquals(1, once.atLeast(1));
    SlotList list = once.ascending();
    assertEquals(3, list.size());
    assertEquals(2, list.count(1));
    assertEquals(2, list.atLeast(1));
    assertFalse(list.isFull(1, 3));
    SlotList full = SlotList.of(table(false), new int[] {3, 2, 3, 4, 2});
    assertTrue(full.isFull(1, 3));
    assertTrue(full.ascending().isFull(1, 3));
  }

  @Test
  void aTableThatNobodyHasIsGarbage() throws InterruptedException {
    ClassTable held = table(false);
    WeakReference<ClassTable> table = new WeakReference<>(held);
    outputs.in(held);
    held = null;
    for (int i = 0; i < 1000 && table.get() != null; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertTrue(table.refersTo(null), "the table is kept");
  }

  @Test
  void bounds() {
    assertTrue(outputs.areBelow(5));
    assertFalse(outputs.areBelow(4));
    assertFalse(new SharedOutputs(new int[] {1, -1}).areBelow(5));
    assertFalse(new SharedOutputs(new int[] {1, Integer.MAX_VALUE}).areBelow(Integer.MAX_VALUE));
    assertTrue(new SharedOutputs(new int[0]).areBelow(0));
  }
}
