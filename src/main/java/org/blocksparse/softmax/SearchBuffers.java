// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.memory.GrowingArrays;

/**
 * The memory that a {@link TwoLevelSearch} keeps for the next one: searches of rows, and their
 * classes.
 */
final class SearchBuffers {
  private RowSearchState[] searches = {};
  private RowSearchState[] active = {};
  private long[] classes = {};

  /** Returns at least that many searches, which have not begun. */
  RowSearchState[] searches(int rows) {
    int before = searches.length;
    if (before < rows) {
      // The array is kept once it is complete: the heap may be exhausted before.
      RowSearchState[] more = Arrays.copyOf(searches, rows);
      for (int row = before; row < rows; row++) {
        more[row] = new RowSearchState(row);
      }
      searches = more;
    }
    return searches;
  }

  /** Returns an array for the searches that have not ended. */
  RowSearchState[] active(int rows) {
    if (active.length < rows) {
      active = new RowSearchState[rows];
    }
    return active;
  }

  /** Returns an array for the classes of that many rows. */
  long[] classes(int rows, int classes) {
    this.classes = GrowingArrays.longs(this.classes, Math.multiplyExact(rows, classes));
    return this.classes;
  }

  /** Drops the results of the searches. */
  void clear(int rows) {
    for (int row = 0; row < rows; row++) {
      searches[row].end();
    }
  }
}
