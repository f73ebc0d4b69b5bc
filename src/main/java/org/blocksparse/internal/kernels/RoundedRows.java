// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/**
 * Rows of int8 with a scale for each 32 numbers: the ROUNDED ROWS of the C header, which products
 * with packed weights read. Of all rows, the codes come first, then the scales, then the sums of
 * codes that native kernels need.
 *
 * @param count the number of rows
 * @param size of a row
 */
record RoundedRows(Storage storage, long count, int size) {
  /** The elements of four bytes that they take. */
  static long elements(long count, int size) {
    return Math.multiplyExact(count, 10L * Panels.groups(size));
  }

  int groups() {
    return Panels.groups(size);
  }

  long address() {
    return storage.address(0);
  }

  int code(long row, int column) {
    return storage.getByte(row * groups() * Panels.GROUP_ROWS + column);
  }

  private long scaleAt(long row, int group) {
    return (8 * count + row) * groups() + group;
  }

  float scale(long row, int group) {
    return storage.getFloat(scaleAt(row, group));
  }

  /** Sets a group of a row. */
  void put(long row, int group, byte[] codes, float scale) {
    storage.putBytes((row * groups() + group) * Panels.GROUP_ROWS, codes, codes.length);
    storage.putFloat(scaleAt(row, group), scale);
  }
}
