// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/** The elements of a storage from index {@code begin} on. */
public record Slice(Storage storage, long begin) {
  /** Returns an element by its index from {@code begin}. */
  public int getInt(long index) {
    return storage.getInt(begin + index);
  }

  /** See {@link #getInt}. */
  public float getFloat(long index) {
    return storage.getFloat(begin + index);
  }

  /** Sets an element. */
  public void putInt(long index, int value) {
    storage.putInt(begin + index, value);
  }

  /** Returns the elements of this slice from an index on. */
  public Slice from(long index) {
    return new Slice(storage, begin + index);
  }

  /** Returns the native address of the first element. */
  public long address() {
    return storage.address(begin);
  }
}
