// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.lang.ref.SoftReference;

/**
 * Memory for intermediate results of one worker. Workers borrow it for one piece of work at a time,
 * so that operations in steady state allocate nothing, and threads that end leave nothing behind.
 *
 * <p>What is idle is held softly. Memory that this class held for good would hold this class for
 * good as well, through the cleaner that waits for the memory, and with it the class loader.
 */
public final class Scratch implements AutoCloseable {
  private static final IdlePool<SoftReference<Scratch>> POOL = new IdlePool<>();

  private final Storage storage;
  private final SoftReference<Scratch> idle = new SoftReference<>(this);

  private Scratch(Storage storage) {
    this.storage = storage;
  }

  /**
   * Scratch of at least the given number of elements; its content is undefined.
   *
   * @throws OutOfMemoryError that names the bytes, if they cannot be had
   */
  public static Scratch borrow(long elements) {
    SoftReference<Scratch> reference = POOL.poll();
    for (; reference != null; reference = POOL.poll()) {
      Scratch pooled = reference.get();
      if (pooled != null && pooled.storage.elements() >= elements) {
        return pooled;
      }
      if (pooled != null) {
        pooled.storage.close();
      }
    }
    return new Scratch(Storage.allocate(elements));
  }

  /** The memory, while it is borrowed. */
  public Storage storage() {
    return storage;
  }

  /** Returns borrowed scratch. */
  @Override
  public void close() {
    if (!POOL.offer(idle)) {
      storage.close();
    }
  }
}
