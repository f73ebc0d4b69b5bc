// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.lang.ref.SoftReference;

/** An {@link IdlePool} of things that the garbage collector may take when memory is short. */
public final class SoftPool<T> {
  private final IdlePool<SoftReference<T>> idle = new IdlePool<>();

  /** Takes one out; null if there is none. */
  public T poll() {
    for (SoftReference<T> reference = idle.poll(); reference != null; reference = idle.poll()) {
      T thing = reference.get();
      if (thing != null) {
        return thing;
      }
    }
    return null;
  }

  /**
   * Puts one in; false if there is no room.
   *
   * @param reference to the thing, which the thing keeps, so that none is made here
   */
  public boolean offer(SoftReference<T> reference) {
    return idle.offer(reference);
  }
}
