// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.util.List;
import java.util.stream.Stream;

/**
 * Memory for intermediate results of one worker. Workers borrow it for one task at a time, so that
 * operations in steady state allocate nothing, and threads that end leave nothing behind.
 *
 * <p>Kernels of products borrow it only where they may choose OpenBLAS ({@code blockGemm} and
 * {@code blockOuter} of {@code ProductKernels}), for rows in the order in which it takes them;
 * tiles need none. All else that borrows it holds what an operation makes on its way: sums before
 * an activation, gradients before a step, parts of sums, lists that are sorted.
 *
 * <p>What is idle is held softly. Memory that this class held for good would hold this class for
 * good as well, through the cleaner that waits for the memory, and with it the class loader.
 */
public final class Scratch implements AutoCloseable {
  /**
   * One for each power of two, which sizes are rounded up to: of several that a worker holds at
   * once, none is lent in the place of a larger one and found too small.
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
   * Scratch of at least the given number of elements; its content is undefined.
   *
   * @throws OutOfMemoryError that names the bytes, if they cannot be had
   */
  public static Scratch borrow(long elements) {
    int exponent = Long.SIZE - Long.numberOfLeadingZeros(Math.max(elements, 1) - 1);
    SoftPool<Scratch> pool = POOLS.get(exponent);
    Scratch pooled = pool.poll();
    return pooled != null ? pooled : new Scratch(Storage.allocate(1L << exponent), pool);
  }

  /** Frees what is idle, for others who find no memory. */
  static void freeIdle() {
    for (SoftPool<Scratch> pool : POOLS) {
      for (Scratch idle = pool.poll(); idle != null; idle = pool.poll()) {
        idle.storage.close();
      }
    }
  }

  /** The memory, while it is borrowed. */
  public Storage storage() {
    return storage;
  }

  /** Returns borrowed scratch. */
  @Override
  public void close() {
    if (!pool.offer(this)) {
      storage.close();
    }
  }
}
