// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.ArrayDeque;
import java.util.Deque;

/** Fills the heap of this JVM, but for a little. */
final class FullHeap {
  /**
   * Small enough for the end of each space: on Java 25, Parallel collects twice for every object
   * that has room in the old space alone.
   */
  private static final int LARGE = 1 << 13;

  private static final int SMALL = 1 << 8;
  private static final int MOST_PIECES = 1 << 17;

  private static final Deque<byte[]> HEAP = new ArrayDeque<>(MOST_PIECES);
  private static int largePieces = MOST_PIECES;

  private FullHeap() {}

  /** To the end of memory, which is met once: that is what takes time. */
  static void fill() {
    try {
      while (HEAP.size() < largePieces) {
        HEAP.addLast(new byte[LARGE]);
      }
    } catch (OutOfMemoryError e) {
      largePieces = HEAP.size();
    }
    try {
      while (HEAP.size() < MOST_PIECES) {
        HEAP.addLast(new byte[SMALL]);
      }
    } catch (OutOfMemoryError e) {
      // Full.
    }
  }

  /** The pieces that fill it. */
  static int pieces() {
    return HEAP.size();
  }

  /** Leaves so many of them. */
  static void empty(int pieces) {
    while (HEAP.size() > Math.max(0, pieces)) {
      HEAP.removeLast();
    }
  }
}
