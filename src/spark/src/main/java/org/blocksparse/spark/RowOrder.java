// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;

/**
 * The order of rows and their batches, which depend on nothing but what the rows are: in each epoch
 * the hash of a row is mixed into its position, a number of 64 bits. Where a row is stored, and in
 * which order rows come, does not matter.
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

  /** The number that an odd one has to be multiplied by, modulo 2^64, to get 1. */
  private static long inverse(long odd) {
    long inverse = odd; // right in the last 3 bits; each round doubles them
    for (int bits = 3; bits < 64; bits *= 2) {
      inverse *= 2 - odd * inverse;
    }
    return inverse;
  }

  /** The number of different orders of the epochs; one if all have the same. */
  int orders(int epochs) {
    return reshuffled ? epochs : Math.min(1, epochs);
  }

  /** Which of the {@link #orders} an epoch has. */
  int order(int epoch) {
    return reshuffled ? epoch : 0;
  }

  /** Where in an epoch a row with the given hash is; rows go by this, without a sign. */
  long position(long hash, int epoch) {
    return mix(hash ^ key(epoch));
  }

  /** The hash of the rows at a position. */
  long hash(long position, int epoch) {
    return unmix(position) ^ key(epoch);
  }

  /** The batch of a position: all batches have about as many rows. */
  int batch(long position) {
    return (int)
        (Math.multiplyHigh(position, batches) + ((position >> 63) & batches)); // without a sign
  }

  private long key(int epoch) {
    return mix(seed + (order(epoch) + 1) * 0x9e3779b97f4a7c15L);
  }

  /** The finalizer of MurmurHash3, a bijection. */
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
