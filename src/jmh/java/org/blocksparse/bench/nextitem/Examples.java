// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.blocksparse.SparseRows;

/**
 * Clicked items, and the item clicked next.
 *
 * @param seen a bag of items for each example
 * @param next the item that followed
 */
record Examples(List<int[]> seen, int[] next) {
  /**
   * Of each session all beginnings that are followed by a click, but for the last click, which is
   * held out; in a random order.
   */
  static Examples toLearn(List<int[]> sessions, long seed) {
    List<int[]> beginnings = new ArrayList<>();
    for (int[] session : sessions) {
      for (int length = 2; length < session.length; length++) {
        beginnings.add(Arrays.copyOf(session, length));
      }
    }
    Collections.shuffle(beginnings, new Random(seed));
    return of(beginnings);
  }

  /** Whole sessions; the last click is the target. */
  static Examples heldOut(List<int[]> sessions) {
    return of(sessions);
  }

  /** The last of each is what is next. */
  static Examples of(List<int[]> clicks) {
    List<int[]> seen = new ArrayList<>();
    int[] next = new int[clicks.size()];
    for (int i = 0; i < next.length; i++) {
      int[] each = clicks.get(i);
      seen.add(Arrays.copyOf(each, each.length - 1));
      next[i] = each[each.length - 1];
    }
    return new Examples(seen, next);
  }

  int size() {
    return next.length;
  }

  /** All bags; the caller closes them. */
  SparseRows rows() {
    return SparseRows.of(seen);
  }
}
