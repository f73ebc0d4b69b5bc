// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.util.List;
import java.util.stream.Stream;

/**
 * Memory for intermediate results of one worker. Workers borrow it for one task at a time, so that
 * operations in steady state allocate nothing, and threads that end leave nothing behind.
 *
 * <p>Kernels of products borrow it only where they may choose OpenBLAS ({@code blockGemm} and
 * {@code blockOuter} of {@code ProductKernels}), to gather rows in the order that OpenBLAS reads;
 * tiles need none. Other operations keep intermediate results in it: sums before an activation,
 * gradients before a step, partial sums, lists being sorted.
 *
 * <p>Idle memory is softly reachable. A strong reference would keep this class and its class loader
 * alive for ever, through the cleaner of the memory.
 */
public final class Scratch implements AutoCloseable {
  /**
   * One pool for each power of two. Sizes are rounded up to a power, so that every memory of a pool
   * is large enough for each request to it.
   */
  private static final List<SoftPool<Scratch>> POOLS =
      Stream.generate(SoftPool<Scratch>::new).limit(Long.SIZE).toList();

  private final Storage storage;
  private final SoftPool<Scratch> pool;

  private Scratch(Storage storage, SoftPool<Scratch> pool) {
    this.storage = storage;
    this.pool = pool;
  }

  /**
   * Borrows memory of at least {@code elements} elements with undefined content.
   *
   * @throws OutOfMemoryError that names the bytes, if they cannot be had
   */
  public static Scratch borrow(long elements) {
    int exponent = Long.SIZE - Long.numberOfLeadingZeros(Math.max(elements, 1) - 1);
    SoftPool<Scratch> pool = POOLS.get(exponent);
    Scratch pooled = pool.poll();
    return pooled != null ? pooled : new Scratch(Storage.allocate(1L << exponent), pool);
  }

  /** Frees all idle memory when an allocation fails. */
  static void freeIdle() {
    for (SoftPool<Scratch> pool : POOLS) {
      for (Scratch idle = pool.poll(); idle != null; idle = pool.poll()) {
        idle.storage.close();
      }
    }
  }

  /** Returns the memory, which is valid until {@link #close}. */
  public Storage storage() {
    return storage;
  }

  /** Gives the memory back to its pool, or frees it if the pool is full. */
  @Override
  public void close() {
    if (!pool.offer(this)) {
      storage.close();
    }
  }
}
