// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Rows of bfloat16, or of int8 with scales: the ROUNDED ROWS of the C header, which products with
 * packed weights read. For int8, the codes of all rows come first, then the scales, then the sums
 * of codes that native kernels need.
 *
 * @param format one of these; or FLOATS, for rows that are to be rounded as a whole
 * @param count the number of rows
 * @param size the size of a row
 */
public record RoundedRows(Storage storage, RowFormat format, long count, int size) {
  /** The groups whose products fit 32 bits. */
  static final int PIECE_GROUPS = 2048;

  private static final int LINE = 64;

  /** Returns the elements of four bytes that they take. */
  public static long elements(RowFormat format, long count, int size) {
    int groups = Panels.groups(size);
    long ofRow =
        switch (format) {
          case BYTES, TWO_BYTES ->
              format.planes() * (stride(format, size) / 4 + Scheduler.ceilDiv(groups, PIECE_GROUPS))
                  + 1;
          case GROUPS -> 10L * groups;
          case BFLOAT16 -> stride(format, size) / 4;
          default -> size;
        };
    return Math.multiplyExact(count, ofRow);
  }

  /** Returns the bytes from a row's codes to the next. */
  private static long stride(RowFormat format, int size) {
    long bytes = (long) Panels.groups(size) * Panels.GROUP_ROWS;
    if (format == RowFormat.BFLOAT16) {
      return (Panels.groups(size) | 1L) * LINE;
    }
    return format.isWhole() ? (Scheduler.ceilDiv(bytes, LINE) | 1) * LINE : bytes;
  }

  int groups() {
    return Panels.groups(size);
  }

  long address() {
    return storage.address(0);
  }

  private long codeAt(int plane, long row, long column) {
    return (plane * count + row) * stride(format, size) + column;
  }

  public int code(int plane, long row, int column) {
    return storage.getByte(codeAt(plane, row, column));
  }

  /** Returns a number of bfloat16. */
  public float number(long row, int column) {
    return WeightType.BFLOAT16.widen(Panels.bits(storage, codeAt(0, row, 2L * column)));
  }

  /** Sets numbers of bfloat16 of a row, from that of a column on, given their bytes. */
  void putNumbers(long row, int column, byte[] numbers) {
    putCodes(0, row, 2L * column, numbers);
  }

  private long scaleAt(long row, int group) {
    long codes = format.planes() * count * stride(format, size) / 4;
    return codes + (format.isWhole() ? row : row * groups() + group);
  }

  /** Returns the scale of a group of a row; of a whole row that of all groups. */
  public float scale(long row, int group) {
    return storage.getFloat(scaleAt(row, group));
  }

  /** Sets codes of a row, from that of a column on. */
  void putCodes(int plane, long row, long column, byte[] codes) {
    storage.putBytes(codeAt(plane, row, column), codes, codes.length);
  }

  void putScale(long row, int group, float scale) {
    storage.putFloat(scaleAt(row, group), scale);
  }

  /** Copies a row of others of this format, which has tiles, and size. */
  void copyRow(long row, RoundedRows from, long fromRow, byte[] piece) {
    long bytes = stride(format, size);
    for (int plane = 0; plane < format.planes(); plane++) {
      long to = codeAt(plane, row, 0);
      StoredWeights.copy(from.storage, from.codeAt(plane, fromRow, 0), storage, to, bytes, piece);
    }
    if (!format.isWhole()) {
      return;
    }
    putScale(row, 0, from.scale(fromRow, 0));
    int sums = format.planes() * Scheduler.ceilDiv(groups(), PIECE_GROUPS);
    for (int i = 0; i < sums; i++) {
      long of = from.scaleAt(from.count, 0) + fromRow * sums + i;
      storage.putInt(scaleAt(count, 0) + row * sums + i, from.storage.getInt(of));
    }
  }
}
