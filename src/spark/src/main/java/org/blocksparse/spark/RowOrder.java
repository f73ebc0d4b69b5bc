// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;

/**
 * The order of rows and their batches, which depend only on the content of the rows: in each epoch
 * the hash of a row is mixed into its position, a number of 64 bits. The place and the order in
 * which rows are stored do not matter.
 *
 * @param seed equal seeds give equal orders
 * @param batches how many batches an epoch is divided into
 * @param reshuffled whether each epoch has an order of its own
 */
record RowOrder(long seed, int batches, boolean reshuffled) implements Serializable {
  private static final long FIRST = 0xff51afd7ed558ccdL;
  private static final long SECOND = 0xc4ceb9fe1a85ec53L;
  private static final long FIRST_INVERSE = inverse(FIRST);
  private static final long SECOND_INVERSE = inverse(SECOND);

  /** Returns the inverse of an odd number modulo 2^64. */
  private static long inverse(long odd) {
    long inverse = odd; // right in the last 3 bits; each round doubles them
    for (int bits = 3; bits < 64; bits *= 2) {
      inverse *= 2 - odd * inverse;
    }
    return inverse;
  }

  /** Returns the number of different orders of the epochs; one if all share it. */
  int orders(int epochs) {
    return reshuffled ? epochs : Math.min(1, epochs);
  }

  /** Returns the order, among the {@link #orders}, of an epoch. */
  int order(int epoch) {
    return reshuffled ? epoch : 0;
  }

  /**
   * Returns the position in an epoch of a row with the given hash; rows are sorted by it, unsigned.
   */
  long position(long hash, int epoch) {
    return mix(hash ^ key(epoch));
  }

  /** Returns the hash of the rows at a position. */
  long hash(long position, int epoch) {
    return unmix(position) ^ key(epoch);
  }

  /** Returns the batch of a position: all batches have about as many rows. */
  int batch(long position) {
    return (int) (Math.multiplyHigh(position, batches) + ((position >> 63) & batches)); // unsigned
  }

  private long key(int epoch) {
    return mix(seed + (order(epoch) + 1) * 0x9e3779b97f4a7c15L);
  }

  /** Applies the finalizer of MurmurHash3, a bijection. */
  private static long mix(long value) {
    long h = value;
    h ^= h >>> 33;
    h *= FIRST;
    h ^= h >>> 33;
    h *= SECOND;
    h ^= h >>> 33;
    return h;
  }

  private static long unmix(long mixed) {
    long h = mixed;
    h ^= h >>> 33;
    h *= SECOND_INVERSE;
    h ^= h >>> 33;
    h *= FIRST_INVERSE;
    h ^= h >>> 33;
    return h;
  }
}
