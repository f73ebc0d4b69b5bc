// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.memory.GrowingArrays;

/** Memory that an {@link ExactSearch} keeps for the next: searches of rows, and their classes. */
final class SearchBuffers {
  private RowSearch[] searches = {};
  private RowSearch[] active = {};
  private long[] classes = {};

  /** Searches of at least that many rows, which have not begun. */
  RowSearch[] searches(int rows) {
    int before = searches.length;
    if (before < rows) {
      // Kept when all of it is there: the heap may end anywhere between.
      RowSearch[] more = Arrays.copyOf(searches, rows);
      for (int row = before; row < rows; row++) {
        more[row] = new RowSearch(row);
      }
      searches = more;
    }
    return searches;
  }

  /** Room for the searches that have not ended. */
  RowSearch[] active(int rows) {
    if (active.length < rows) {
      active = new RowSearch[rows];
    }
    return active;
  }

  /** Room for the classes of that many rows. */
  long[] classes(int rows, int classes) {
    this.classes = GrowingArrays.longs(this.classes, Math.multiplyExact(rows, classes));
    return this.classes;
  }

  /** Lets go of what the searches have found. */
  void clear(int rows) {
    for (int row = 0; row < rows; row++) {
      searches[row].end();
    }
  }
}
