// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import java.lang.ref.SoftReference;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Memory for intermediate results of one worker. Workers borrow it for one operation at a time, so
 * that operations in steady state allocate nothing, and threads that end leave nothing behind.
 *
 * <p>What is idle is held softly. Memory that this class held for good would hold this class for
 * good as well, through the cleaner that waits for the memory, and with it the class loader.
 */
public final class Scratch {
  private static final BlockingQueue<SoftReference<Scratch>> POOL =
      new ArrayBlockingQueue<>(2 * Runtime.getRuntime().availableProcessors());

  final Storage storage;
  private final SoftReference<Scratch> idle = new SoftReference<>(this);

  private Scratch(Storage storage) {
    this.storage = storage;
  }

  /** Scratch of at least the given number of elements; its content is undefined. */
  static Scratch borrow(long elements) {
    for (SoftReference<Scratch> idle = POOL.poll(); idle != null; idle = POOL.poll()) {
      Scratch pooled = idle.get();
      if (pooled != null && pooled.storage.elements() >= elements) {
        return pooled;
      }
      if (pooled != null) {
        pooled.storage.close();
      }
    }
    return new Scratch(Storage.allocate(elements));
  }

  /** Returns borrowed scratch. */
  void giveBack() {
    if (!POOL.offer(idle)) {
      storage.close();
    }
  }
}
