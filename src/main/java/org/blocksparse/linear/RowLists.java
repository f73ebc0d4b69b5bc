// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.memory.GrowingArrays;

/**
 * A list of rows for each of several things: of label l, rows[begins[l]] up to rows[begins[l + 1]]
 * are those that have it, ascending.
 */
record RowLists(int[] begins, int[] rows) {
  /** Takes what a row belongs to. */
  interface Sink {
    void take(int thing);
  }

  /** Lists the things that a row belongs to, each once; each call gives the same list. */
  interface Membership {
    void forEach(int row, Sink sink);
  }

  /** The rows that belong to each of {@code count} things. */
  static RowLists of(int count, int rows, Membership membership) {
    int[] sizes = new int[count];
    for (int row = 0; row < rows; row++) {
      membership.forEach(row, thing -> sizes[thing]++);
    }
    int[] begins = offsets(sizes);
    int[] next = begins.clone();
    int[] all = new int[begins[count]];
    for (int row = 0; row < rows; row++) {
      int each = row;
      membership.forEach(row, thing -> all[next[thing]++] = each);
    }
    return new RowLists(begins, all);
  }

  /**
   * Where parts of these sizes begin, and the end of the last.
   *
   * @throws IllegalArgumentException if together they are more than an array can hold
   */
  static int[] offsets(int[] sizes) {
    int[] offsets = new int[sizes.length + 1];
    long end = 0;
    for (int i = 0; i < sizes.length; i++) {
      end += sizes[i];
      if (end > GrowingArrays.MAX_LENGTH) {
        throw new IllegalArgumentException(
            "features: rows of labels, or of clusters, have more than 2^31 - 9 entries together");
      }
      offsets[i + 1] = (int) end;
    }
    return offsets;
  }

  int count() {
    return begins.length - 1;
  }

  /** How many rows all lists have together. */
  int entries() {
    return rows.length;
  }

  int begin(int thing) {
    return begins[thing];
  }

  int row(int i) {
    return rows[i];
  }

  int size(int thing) {
    return begins[thing + 1] - begins[thing];
  }
}
