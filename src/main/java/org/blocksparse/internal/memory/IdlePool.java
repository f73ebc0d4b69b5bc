// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Things that wait to be used again, at most two for each processor: more users at the same time
 * are rare, and what they took is not kept.
 *
 * <p>There is no lock: a thread that ends in here with an error loses no more than its own thing to
 * the garbage collector.
 */
public final class IdlePool<T> {
  private final AtomicReferenceArray<T> idle =
      new AtomicReferenceArray<>(2 * Runtime.getRuntime().availableProcessors());

  /** Takes one out; null if there is none. */
  public T poll() {
    for (int slot = 0; slot < idle.length(); slot++) {
      T thing = idle.get(slot) == null ? null : idle.getAndSet(slot, null);
      if (thing != null) {
        return thing;
      }
    }
    return null;
  }

  /** Puts one in; false if there is no room. */
  public boolean offer(T thing) {
    for (int slot = 0; slot < idle.length(); slot++) {
      if (idle.get(slot) == null && idle.compareAndSet(slot, null, thing)) {
        return true;
      }
    }
    return false;
  }
}
