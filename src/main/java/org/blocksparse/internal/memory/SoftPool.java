// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.lang.ref.SoftReference;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Things that wait to be used again, at most two for each processor: more users at the same time
 * are rare, and what they took is not kept. The garbage collector may take them when memory is
 * short. There is no lock.
 */
public final class SoftPool<T> {
  private final AtomicReferenceArray<SoftReference<T>> idle =
      new AtomicReferenceArray<>(2 * Runtime.getRuntime().availableProcessors());

  /** Takes one out; null if there is none. */
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

  /** Puts one in; false if there is no room. */
  public boolean offer(T thing) {
    return offer(new SoftReference<>(thing));
  }

  /** As {@link #offer(Object)}, with a reference that the thing keeps for itself. */
  public boolean offer(SoftReference<T> reference) {
    for (int slot = 0; slot < idle.length(); slot++) {
      if (idle.get(slot) == null && idle.compareAndSet(slot, null, reference)) {
        return true;
      }
    }
    return false;
  }
}
