// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.junit.jupiter.api.Test;

/** The memory that a search leaves for the next one. */
final class SearchBuffersTest {
  private final SearchBuffers buffers = new SearchBuffers();

  @Test
  void whatIsLargeEnoughIsUsedAgain() {
    RowSearchState[] searches = buffers.searches(3);
    assertSame(searches, buffers.searches(3));
    assertSame(searches, buffers.searches(2));
    RowSearchState[] more = buffers.searches(5);
    for (int row = 0; row < 5; row++) {
      assertEquals(row, more[row].row);
      if (row < 3) {
        assertSame(searches[row], more[row]);
      }
    }
    RowSearchState[] active = buffers.active(3);
    assertEquals(3, active.length);
    assertSame(active, buffers.active(3));
    assertTrue(buffers.active(4).length >= 4);
    long[] classes = buffers.classes(3, 7);
    assertTrue(classes.length >= 21);
    assertSame(classes, buffers.classes(7, 3));
    assertThrows(ArithmeticException.class, () -> buffers.classes(1 << 16, 1 << 16));
  }

  /** Candidates may be millions, and belong to the caller. */
  @Test
  void whatWasFoundIsLetGo() {
    ClassTable table = new ClassTable(new int[1], new int[1], new int[][] {{0}}, 1);
    RowSearchState[] searches = buffers.searches(3);
    Storage classes = Storage.allocate(3);
    classes.fill(0, 3, 0);
    for (RowSearchState search : searches) {
      search.begin(
          Candidates.best(1, 0),
          AllowedSlots.all(table),
          new Rows(classes, 3, 1),
          buffers.classes(3, 1));
    }
    classes.close();
    buffers.clear(2);
    for (int row = 0; row < 2; row++) {
      assertNull(searches[row].candidates(), "row " + row);
      assertNull(searches[row].allowed(), "row " + row);
    }
    assertNotNull(searches[2].candidates(), "of those that were asked for");
  }
}
