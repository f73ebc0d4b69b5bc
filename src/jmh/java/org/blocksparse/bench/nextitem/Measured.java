// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Arrays;

/**
 * The items that a recommender found for held-out sessions, and the times of its searches: one
 * caller, one session after the other, after as many to warm up.
 *
 * @param found the items of each session
 * @param sortedNanos of the searches
 */
record Measured(int[][] found, long[] sortedNanos) {
  static Measured of(Recommender recommender, float[][] users, Examples heldOut) {
    int[][] found = new int[users.length][];
    long[] nanos = new long[users.length];
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < users.length; i++) {
        int[] seen = heldOut.seen().get(i);
        long begin = System.nanoTime();
        found[i] = recommender.best(users[i], seen);
        nanos[i] = System.nanoTime() - begin;
      }
    }
    Arrays.sort(nanos);
    return new Measured(found, nanos);
  }

  /** The share of sessions whose last click was found. */
  double hits(int[] next) {
    long hits = 0;
    for (int i = 0; i < found.length; i++) {
      int wanted = next[i];
      hits += Arrays.stream(found[i]).anyMatch(item -> item == wanted) ? 1 : 0;
    }
    return (double) hits / found.length;
  }

  /** The share of what an exact search found that was found here, too. */
  double recall(Measured exact) {
    long same = 0;
    long all = 0;
    for (int i = 0; i < found.length; i++) {
      int[] here = found[i].clone();
      Arrays.sort(here);
      all += exact.found[i].length;
      same +=
          Arrays.stream(exact.found[i])
              .filter(item -> Arrays.binarySearch(here, item) >= 0)
              .count();
    }
    return (double) same / all;
  }

  /** The time within which a share of the searches ended, in milliseconds. */
  double milliseconds(double share) {
    return sortedNanos[(int) Math.ceil(share * sortedNanos.length) - 1] / 1e6;
  }
}
