// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

/** Finds the items that are most likely the next, without those that were seen. */
interface Recommender {
  /** How many are asked for. */
  int K = 20;

  /**
   * The best items, the very best first.
   *
   * @param user what the model makes of the items seen
   */
  int[] best(float[] user, int[] seen);
}
