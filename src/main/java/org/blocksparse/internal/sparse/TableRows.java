// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.WeightType;

/**
 * Rows that bags name: row r begins at {@code offset + r * stride} in {@code storage}. Elements may
 * be of a read-only type; offset and stride are in elements of it.
 *
 * @param count the number of rows
 * @param scales the scales of {@link WeightType#INT8}, one for each row; null for other types
 */
public record TableRows(
    Storage storage, long offset, long count, long stride, WeightType type, Storage scales) {

  /** Creates rows of floats. */
  public TableRows(Rows floats) {
    this(
        floats.storage(),
        floats.offset(),
        floats.count(),
        floats.stride(),
        WeightType.FLOAT32,
        null);
  }

  /** Returns where row 0 lies, as native code sees it. */
  public long address() {
    return storage.address(0) + offset * type.bytes();
  }

  /** Returns one element, as a float. */
  public float get(long row, long column) {
    float value = type.get(storage, offset + row * stride + column);
    return scales == null ? value : value * scales.getFloat(row);
  }
}
