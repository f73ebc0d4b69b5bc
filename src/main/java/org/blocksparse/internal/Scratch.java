// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Memory for intermediate results of one worker. Workers borrow it for one operation at a time, so
 * that operations in steady state allocate nothing, and threads that end leave nothing behind.
 */
public final class Scratch {
  private static final BlockingQueue<Scratch> POOL =
      new ArrayBlockingQueue<>(2 * Runtime.getRuntime().availableProcessors());

  final Storage storage;

  private Scratch(Storage storage) {
    this.storage = storage;
  }

  /** Scratch of at least the given number of elements; its content is undefined. */
  static Scratch borrow(long elements) {
    Scratch pooled = POOL.poll();
    if (pooled != null) {
      if (pooled.storage.elements() >= elements) {
        return pooled;
      }
      pooled.storage.close();
    }
    return new Scratch(Storage.allocate(elements));
  }

  /** Returns borrowed scratch. */
  void giveBack() {
    if (!POOL.offer(this)) {
      storage.close();
    }
  }
}
