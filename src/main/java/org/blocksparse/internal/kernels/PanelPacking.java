// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.nio.ByteBuffer;
import org.blocksparse.internal.memory.Storage;

/**
 * Weights on their way to panels, a group at a time: blocks of rows and columns, one after the
 * other, of floats, or of INT8 whose numbers stay what they are.
 *
 * <p>Floats are rounded to multiples of a scale, ties to even: of INT8 the one that {@link
 * Narrowing} finds for their column of the block, else one for their column in the group. With m
 * the number of the largest magnitude there:
 *
 * <ul>
 *   <li>Q8_0: the scale is |m| / 127. An error is half of it at most.
 *   <li>Q4_0: the scale is m / -8, so that m itself is a multiple by -8. Multiples end at 7: an
 *       error is half of the scale, or all of it for numbers like -m.
 *   <li>MXFP4: the scale is a power of two, the largest that |m| / 4 reaches. Values end at 6 times
 *       that: an error is half of the distance of two values, or twice the scale for numbers that
 *       are nearly 8 times it.
 * </ul>
 *
 * <p>A scale of 16 bits that is subnormal is rounded up where the largest number would need a
 * multiple that there is none of.
 */
public final class PanelPacking {
  static final int CELLS = Panels.PANEL_COLUMNS * Panels.GROUP_ROWS;

  private final String name;
  private final Panels panels;
  private final Storage from;

  /** Of floats that become INT8; else null. */
  private final Narrowing toInt8;

  /** Whether a block of INT8 lies column by column. */
  private final boolean byColumns;

  private PanelPacking(
      String name, Panels panels, Storage from, Narrowing toInt8, boolean byColumns) {
    this.name = name;
    this.panels = panels;
    this.from = from;
    this.toInt8 = toInt8;
    this.byColumns = byColumns;
  }

  /**
   * Blocks of floats to be packed, row by row, which are leased by the caller.
   *
   * @param name of the weights, for messages
   * @param scales blocks rows of columns, which become the scales of INT8; null for other types
   * @throws IllegalArgumentException if a weight of INT8 is not finite, or too large
   */
  public static PanelPacking ofFloats(
      String name, Panels panels, Storage floats, long blocks, Storage scales, Engine engine) {
    WeightType type = panels.type();
    Narrowing toInt8 =
        scales == null
            ? null
            : new Narrowing(
                name, type, floats, blocks, panels.rows(), panels.columns(), scales, engine);
    return new PanelPacking(name, panels, floats, toInt8, false);
  }

  /** Blocks of INT8 to be packed, which are leased by the caller. */
  static PanelPacking ofWholes(Panels panels, Storage wholes, boolean byColumns) {
    return new PanelPacking("weights", panels, wholes, null, byColumns);
  }

  /** Columns of groups to be {@linkplain #round rounded}, of any floats. */
  static PanelPacking ofColumns(String name, Panels panels) {
    return new PanelPacking(name, panels, null, null, false);
  }

  /**
   * Puts all blocks into memory.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   */
  void putAll(long blocks, Storage into, Engine engine) {
    long groups = blocks * panels.groupsOfBlock();
    int tasks = (int) Math.min(groups, Integer.MAX_VALUE);
    engine.run(
        tasks,
        Engine.work(groups, Panels.PANEL_COLUMNS, Panels.GROUP_ROWS),
        (begin, end) -> {
          byte[] group = new byte[panels.groupBytes()];
          float[] cells = new float[CELLS];
          for (long g = boundary(begin, groups, tasks); g < boundary(end, groups, tasks); g++) {
            make(g, cells, group);
            into.putBytes(g * group.length, group, group.length);
          }
        });
  }

  /**
   * Where part i begins of `parts` parts of nearly equal size, which there are at least as many.
   */
  static long boundary(int i, long count, int parts) {
    return i * (count / parts) + Math.min(i, count % parts);
  }

  /**
   * Appends bytes [begin, begin + count) of the packed blocks to a buffer.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   */
  public void put(long begin, int count, ByteBuffer into) {
    byte[] group = new byte[panels.groupBytes()];
    float[] cells = new float[CELLS];
    for (long at = begin; at < begin + count; ) {
      int offset = (int) (at % group.length);
      int length = (int) Math.min(group.length - offset, begin + count - at);
      make(at / group.length, cells, group);
      into.put(group, offset, length);
      at += length;
    }
  }

  /**
   * Makes a group.
   *
   * @param number of all groups of all blocks
   * @param cells memory for its floats
   */
  private void make(long number, float[] cells, byte[] group) {
    long ofBlock = number % panels.groupsOfBlock();
    int row = (int) (ofBlock % panels.groups()) * Panels.GROUP_ROWS;
    int column = (int) (ofBlock / panels.groups()) * Panels.PANEL_COLUMNS;
    int rows = Math.min(Panels.GROUP_ROWS, panels.rows() - row);
    int columns = Math.min(Panels.PANEL_COLUMNS, panels.columns() - column);
    long block = number / panels.groupsOfBlock() * panels.rows() * panels.columns();
    panels.clear(group);
    if (panels.type() == WeightType.PACKED_INT8 && toInt8 == null) {
      long rowStride = byColumns ? 1 : panels.columns();
      long columnStride = byColumns ? panels.rows() : 1;
      long first = block + row * rowStride + column * columnStride;
      for (int p = 0; p < rows; p++) {
        for (int q = 0; q < columns; q++) {
          int whole = from.getByte(first + p * rowStride + q * columnStride);
          panels.putCode(group, p, q, whole + 128);
        }
      }
      return;
    }
    long first = block + (long) row * panels.columns() + column;
    for (int p = 0; p < rows; p++) {
      long at = first + (long) p * panels.columns();
      from.getFloats(at, cells, p * Panels.PANEL_COLUMNS, columns);
      requireFinite(at, cells, p * Panels.PANEL_COLUMNS, columns);
    }
    for (int q = 0; q < columns; q++) {
      if (toInt8 == null) {
        round(first + q, panels.columns(), cells, rows, q, group);
        continue;
      }
      float scale = toInt8.scale(number / panels.groupsOfBlock(), column + q);
      for (int p = 0; p < rows; p++) {
        int whole = Narrowing.whole(cells[p * Panels.PANEL_COLUMNS + q], scale);
        panels.putCode(group, p, q, whole + 128);
      }
    }
  }

  private void requireFinite(long element, float[] cells, int from, int count) {
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(cells[from + i])) {
        throw Narrowing.notFinite(name, element + i, cells[from + i], panels.type());
      }
    }
  }

  /**
   * Rounds a column of a group to multiples of a scale of its own.
   *
   * @param first the number of its first element, for messages
   * @param stride from one element to the next
   * @param cells the floats of the group by rows, all finite
   * @throws IllegalArgumentException if one is too large for the type
   */
  void round(long first, long stride, float[] cells, int rows, int q, byte[] group) {
    float largest = 0;
    int place = 0;
    for (int p = 0; p < rows; p++) {
      float value = cells[p * Panels.PANEL_COLUMNS + q];
      if (Math.abs(value) > Math.abs(largest)) {
        largest = value;
        place = p;
      }
    }
    if (panels.type() == WeightType.MXFP4) {
      int exponent = Math.max(0, Math.getExponent(largest) - 2 + 127);
      group[q] = (byte) exponent;
      for (int p = 0; p < rows; p++) {
        panels.putCode(group, p, q, e2m1(cells[p * Panels.PANEL_COLUMNS + q], exponent));
      }
      return;
    }
    boolean bytes = panels.hasBytes();
    short bits =
        bytes
            ? scale(Math.abs(largest), 127)
            : (short) (scale(Math.abs(largest), 8) | (largest > 0 ? 0x8000 : 0));
    float scale = WeightType.FLOAT16.widen(bits);
    if (Float.isInfinite(scale)) {
      throw Narrowing.tooLarge(name, first + place * stride, largest, panels.type());
    }
    group[2 * q] = (byte) bits;
    group[2 * q + 1] = (byte) (bits >> 8);
    for (int p = 0; p < rows && scale != 0; p++) {
      double whole = Math.rint(cells[p * Panels.PANEL_COLUMNS + q] / (double) scale);
      int code = bytes ? clamp(whole, -127, 127) + 128 : clamp(whole, -8, 7) + 8;
      panels.putCode(group, p, q, code);
    }
  }

  private static int clamp(double whole, int least, int most) {
    return (int) Math.max(least, Math.min(most, whole));
  }

  /** The bits of a float16 that `most` times, or nearly, is a magnitude. */
  private static short scale(float magnitude, int most) {
    short bits = WeightType.FLOAT16.narrow(magnitude / most);
    return (short) (magnitude > (most + 0.5f) * WeightType.FLOAT16.widen(bits) ? bits + 1 : bits);
  }

  /** The code of the nearest number of E2M1 times a power of two, of two the even one. */
  private static int e2m1(float value, int exponent) {
    double size = Math.scalb(Math.abs((double) value), 127 - exponent);
    int code =
        size <= 0.25
            ? 0
            : size < 0.75
                ? 1
                : size <= 1.25
                    ? 2
                    : size < 1.75 ? 3 : size <= 2.5 ? 4 : size < 3.5 ? 5 : size <= 5 ? 6 : 7;
    return value < 0 && code > 0 ? code | 8 : code;
  }
}
