// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/**
 * Rows of a matrix: row r begins at element {@code offset + r * stride} of {@code storage}.
 *
 * @param count the number of rows
 */
public record Rows(Storage storage, long offset, long count, long stride) {

  /**
   * Describes rows of {@code size} elements that follow each other without gaps from the start of
   * the storage.
   */
  public Rows(Storage storage, long count, long size) {
    this(storage, 0, count, size);
  }

  /** Returns rows [begin, begin + count). */
  public Rows slice(long begin, long count) {
    return new Rows(storage, offset + begin * stride, count, stride);
  }

  /** Returns the native address of row 0. */
  public long address() {
    return storage.address(offset);
  }

  /** Returns one element. */
  public float get(long row, long column) {
    return storage.getFloat(offset + row * stride + column);
  }

  /** Sets one element. */
  public void put(long row, long column, float value) {
    storage.putFloat(offset + row * stride + column, value);
  }

  /** Copies {@code values.length} elements of a row out, from {@code column} on. */
  public void get(long row, long column, float[] values) {
    storage.getFloats(offset + row * stride + column, values, 0, values.length);
  }

  /** Copies {@code count} elements of a row out, from {@code column} on. */
  public void get(long row, long column, float[] values, int count) {
    storage.getFloats(offset + row * stride + column, values, 0, count);
  }

  /** Copies all of {@code values} into a row, from {@code column} on. */
  public void put(long row, long column, float[] values) {
    storage.putFloats(offset + row * stride + column, values, 0, values.length);
  }
}
