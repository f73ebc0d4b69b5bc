// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import org.bytedeco.javacpp.FloatPointer;

/**
 * Rows of a matrix: row r is what follows {@code offset + r * stride} in {@code storage}.
 *
 * <p>The pointer is made here, once an operation, so that the calls for its chunks allocate
 * nothing.
 */
public final class Rows {
  final Storage storage;
  final long offset;
  final long count;
  final long stride;
  final FloatPointer pointer;

  public Rows(Storage storage, long offset, long count, long stride) {
    this.storage = storage;
    this.offset = offset;
    this.count = count;
    this.stride = stride;
    this.pointer = storage.floats(offset);
  }

  /** Rows that follow each other without a gap, from the start of the storage on. */
  public Rows(Storage storage, long count, long size) {
    this(storage, 0, count, size);
  }

  /** Rows [begin, begin + count) of these. */
  public Rows slice(long begin, long count) {
    return new Rows(storage, offset + begin * stride, count, stride);
  }

  /** The number of rows. */
  public long count() {
    return count;
  }

  /** One element. */
  public float get(long row, long column) {
    return storage.getFloat(offset + row * stride + column);
  }

  /** Copies {@code values.length} elements of a row out, from {@code column} on. */
  public void get(long row, long column, float[] values) {
    storage.getFloats(offset + row * stride + column, values, 0, values.length);
  }
}
