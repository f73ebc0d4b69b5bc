// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.lang.ref.SoftReference;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Memory for intermediate results of one worker. Workers borrow it for one piece of work at a time,
 * so that operations in steady state allocate nothing, and threads that end leave nothing behind.
 *
 * <p>What is idle is held softly. Memory that this class held for good would hold this class for
 * good as well, through the cleaner that waits for the memory, and with it the class loader.
 *
 * <p>The pool has no lock: a thread whose stack ends in here leaves nothing locked, and loses no
 * more than its own scratch to the garbage collector.
 */
public final class Scratch implements AutoCloseable {
  private static final AtomicReferenceArray<SoftReference<Scratch>> POOL =
      new AtomicReferenceArray<>(2 * Runtime.getRuntime().availableProcessors());

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
    for (int slot = 0; slot < POOL.length(); slot++) {
      SoftReference<Scratch> reference = POOL.get(slot) == null ? null : POOL.getAndSet(slot, null);
      Scratch pooled = reference == null ? null : reference.get();
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
    for (int slot = 0; slot < POOL.length(); slot++) {
      if (POOL.get(slot) == null && POOL.compareAndSet(slot, null, idle)) {
        return;
      }
    }
    storage.close();
  }
}
