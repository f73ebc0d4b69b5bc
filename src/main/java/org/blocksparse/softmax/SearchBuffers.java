// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.memory.GrowingArrays;

/** Memory that a {@link TwoLevelSearch} keeps for the next: searches of rows, and their classes. */
final class SearchBuffers {
  private RowSearchState[] searches = {};
  private RowSearchState[] active = {};
  private long[] classes = {};

  /** Searches of at least that many rows, which have not begun. */
  RowSearchState[] searches(int rows) {
    int before = searches.length;
    if (before < rows) {
      // Kept when all of it is there: the heap may end anywhere between.
      RowSearchState[] more = Arrays.copyOf(searches, rows);
      for (int row = before; row < rows; row++) {
        more[row] = new RowSearchState(row);
      }
      searches = more;
    }
    return searches;
  }

  /** Room for the searches that have not ended. */
  RowSearchState[] active(int rows) {
    if (active.length < rows) {
      active = new RowSearchState[rows];
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
