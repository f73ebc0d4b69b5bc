// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import org.blocksparse.internal.kernels.PackedExperts;

/**
 * The experts that a call uses, in the order of their numbers. Each is pinned in a slot while it is
 * read and used. A call takes slots in that order and never waits for one while it holds another
 * that is still to be used, so that calls cannot wait for each other in a circle.
 */
final class ExpertsInUse implements PackedExperts.Slots, AutoCloseable {
  /** The bytes to read ahead, enough to keep a disk busy. */
  private static final long AHEAD_BYTES = 64L << 20;

  /** The slots for reading ahead, as a fraction of all: other calls lose them. */
  private static final int AHEAD_PART = 8;

  private static final int MIN_AHEAD = 2;

  private final ExpertCache cache;
  private final CachedExperts layer;
  private final PackedExperts experts;
  private final int[] chosen;
  private final int[] sorted;
  private final PackedExperts.Pairs ofSlots;

  /** The begin of the pairs of each expert among the sorted ones, and the end of the last. */
  private final int[] begins;

  private final int count;

  /** The maximum number of experts that are read before they are needed. */
  private final int maxAhead;

  // The lock of the cache guards all that follows.

  private PackedExperts inSlots;

  /** The slots of the experts that are taken. */
  private final ExpertCache.Slot[] slots;

  /** Whether each expert was not in memory. */
  private final boolean[] isMiss;

  private int taken;
  private int released;
  private int misses;

  /** The misses that are taken and not released. */
  private int ahead;

  ExpertsInUse(
      ExpertCache cache, CachedExperts layer, PackedExperts experts, PackedExperts.Pairs pairs) {
    this.cache = cache;
    this.layer = layer;
    this.experts = experts;
    this.chosen = pairs.chosen();
    this.sorted = pairs.sorted();
    this.ofSlots =
        new PackedExperts.Pairs(
            pairs.k(), new int[chosen.length], sorted, pairs.places(), pairs.gates());
    int[] all = new int[Math.min(sorted.length, experts.w2().inBlocks()) + 1];
    int different = 0;
    for (int i = 0; i < sorted.length; i++) {
      if (i == 0 || chosen[sorted[i]] != chosen[sorted[i - 1]]) {
        all[different++] = i;
      }
    }
    all[different] = sorted.length;
    this.begins = all;
    this.count = different;
    this.slots = new ExpertCache.Slot[count];
    this.isMiss = new boolean[count];
    long bytes = Math.min(AHEAD_BYTES, cache.bytes() / AHEAD_PART);
    this.maxAhead = (int) Math.max(MIN_AHEAD, bytes / layer.expertBytes());
  }

  private int expert(int number) {
    return chosen[sorted[begins[number]]];
  }

  /**
   * Begins reading.
   *
   * @throws IllegalStateException if the layer or the cache is closed
   */
  void begin() {
    synchronized (cache.lock) {
      layer.begin();
      try {
        inSlots = cache.begin(experts, count);
      } catch (Throwable e) {
        layer.end();
        throw e;
      }
      for (int number = 0; number < count; number++) {
        layer.want(expert(number));
      }
      take();
    }
  }

  /** Takes the next experts while slots are free. */
  private void take() {
    while (taken < count && (ahead < maxAhead || taken == released)) {
      boolean miss = !layer.isResident(expert(taken));
      ExpertCache.Slot slot = layer.takeOrNull(expert(taken), experts);
      if (slot == null) {
        return;
      }
      layer.unwant(expert(taken));
      for (int i = begins[taken]; i < begins[taken + 1]; i++) {
        ofSlots.chosen()[sorted[i]] = slot.number;
      }
      isMiss[taken] = miss;
      misses += miss ? 1 : 0;
      ahead += miss ? 1 : 0;
      slots[taken++] = slot;
    }
  }

  private void release() {
    cache.unpin(slots[released]);
    ahead -= isMiss[released] ? 1 : 0;
    released++;
  }

  @Override
  public int await(int begin, int end) {
    if (begin == end) {
      return end;
    }
    synchronized (cache.lock) {
      while (released < taken && begins[released + 1] <= begin) {
        release();
      }
      awaitNext();
      int last = released;
      while (last + 1 < taken && begins[last + 1] < end && slots[last + 1].isFilled()) {
        last++;
      }
      return Math.min(end, begins[last + 1]);
    }
  }

  /**
   * Waits for the next expert. An interrupt is kept for the caller: the wait is bounded by reads.
   */
  private void awaitNext() {
    boolean interrupted = false;
    try {
      take();
      while (taken == released || slots[released].isBeingRead()) {
        try {
          cache.lock.wait();
        } catch (InterruptedException e) {
          interrupted = true;
        }
        take();
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    if (slots[released].failure != null) {
      throw layer.cannotRead(expert(released), slots[released].failure);
    }
  }

  @Override
  public PackedExperts experts() {
    return inSlots;
  }

  @Override
  public PackedExperts.Pairs pairs() {
    return ofSlots;
  }

  /** Returns the experts that were in memory, once the call has ended. */
  int hits() {
    return taken - misses;
  }

  /** Returns the experts that were read for the call. */
  int misses() {
    return misses;
  }

  /** Ends the call. */
  @Override
  public void close() {
    synchronized (cache.lock) {
      if (inSlots != null) {
        while (released < taken) {
          release();
        }
        for (int number = taken; number < count; number++) {
          layer.unwant(expert(number));
        }
        try {
          layer.end();
        } finally {
          cache.end();
        }
      }
    }
  }
}
