// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/** The elements of a storage from one on. */
public record Slice(Storage storage, long begin) {
  /** An element, by its distance from the first. */
  public int getInt(long index) {
    return storage.getInt(begin + index);
  }

  /** As {@link #getInt}. */
  public float getFloat(long index) {
    return storage.getFloat(begin + index);
  }

  /** Sets an element. */
  public void putInt(long index, int value) {
    storage.putInt(begin + index, value);
  }

  /** The elements from one of these on. */
  public Slice from(long index) {
    return new Slice(storage, begin + index);
  }

  /** Where the first element lies, as native code sees it. */
  public long address() {
    return storage.address(begin);
  }
}
