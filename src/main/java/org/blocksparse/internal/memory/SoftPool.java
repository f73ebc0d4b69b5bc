// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.lang.ref.SoftReference;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * A lock-free pool of idle objects, at most two for each processor: more users at one time are
 * rare, and the pool drops their objects. The garbage collector may take them when memory is short.
 * Each call takes time linear in the size of the pool.
 */
public final class SoftPool<T> {
  private final AtomicReferenceArray<SoftReference<T>> idle =
      new AtomicReferenceArray<>(2 * Runtime.getRuntime().availableProcessors());

  /** Removes and returns an idle object, or null if there is none. */
  public T poll() {
    for (int slot = 0; slot < idle.length(); slot++) {
      SoftReference<T> reference = idle.get(slot) == null ? null : idle.getAndSet(slot, null);
      T thing = reference == null ? null : reference.get();
      if (thing != null) {
        return thing;
      }
    }
    return null;
  }

  /** Adds an idle object; returns false if the pool is full. */
  public boolean offer(T thing) {
    return offer(new SoftReference<>(thing));
  }

  /** See {@link #offer(Object)}; the caller owns the reference and may use it again. */
  public boolean offer(SoftReference<T> reference) {
    for (int slot = 0; slot < idle.length(); slot++) {
      if (idle.get(slot) == null && idle.compareAndSet(slot, null, reference)) {
        return true;
      }
    }
    return false;
  }
}
