// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Packs weights into panels, group by group. The weights are a sequence of blocks of floats, which
 * are rounded, or of INT8 or BFLOAT16, which keep their numbers.
 *
 * <p>Floats are rounded to multiples of a scale, ties to even: of INT8 the one that {@link
 * Narrowing} finds for their column of the block, else one for their column in the group. With m
 * the number of the largest magnitude there:
 *
 * <ul>
 *   <li>BFLOAT16 has no scale: a number is rounded to the nearest one.
 *   <li>Q8_0: the scale is |m| / 127. An error is half of it at most.
 *   <li>Q4_0: the scale is m / -8, so that m itself is a multiple by -8. Multiples end at 7: an
 *       error is half of the scale, or all of it for numbers like -m.
 *   <li>MXFP4: the scale is a power of two, the largest that |m| / 4 reaches. Values end at 6 times
 *       that: an error is half of the distance of two values, or twice the scale for numbers that
 *       are nearly 8 times it.
 *   <li>Q4_K: the minimum reaches the least weight, and 15 times the scale reaches from there to
 *       the largest one. Both are multiples of units that 256 rows share. Units and multiples are
 *       the least that suffice: an error is half of the scale at most.
 *   <li>Q5_K: as Q4_K, with 31 times the scale. Q2_K: with 3 times the scale of 16 rows.
 *   <li>Q5_1: the minimum reaches the least weight, and 31 times the scale reaches from there.
 *   <li>Q6_K: 31 times the scale reaches |m| of 16 rows. The scale is a multiple of a unit, as that
 *       of Q4_K is.
 *   <li>IQ4_NL: the scale is m / -127, so that m itself has the first value of the table. Values
 *       end at 113: an error is 12 times the scale at most, or 14 times for numbers like -m.
 *   <li>IQ4_XS: the same, with a scale that is a multiple of a unit, as that of Q4_K is.
 * </ul>
 *
 * <p>A subnormal scale of 16 bits is rounded up if the largest number would need a multiple that
 * does not exist.
 */
public final class PanelPacking {
  private final String name;
  private final Panels panels;
  private final Storage from;

  /** The rounding of floats to INT8; null for other types. */
  private final Narrowing toInt8;

  /** The type of the weights before packing: FLOAT32, INT8 or BFLOAT16. */
  private final WeightType source;

  /** Whether blocks are stored column by column; false for floats. */
  private final boolean byColumns;

  private PanelPacking(
      String name,
      Panels panels,
      Storage from,
      Narrowing toInt8,
      WeightType source,
      boolean byColumns) {
    this.name = name;
    this.source = source;
    this.panels = panels;
    this.from = from;
    this.toInt8 = toInt8;
    this.byColumns = byColumns;
  }

  /**
   * Prepares to pack row-major blocks of floats, on which the caller holds a lease.
   *
   * @param name the name of the weights, for messages
   * @param scales blocks rows of columns, which become the scales of INT8; null for other types
   * @throws IllegalArgumentException if a weight of INT8 is not finite, or too large
   */
  public static PanelPacking ofFloats(
      String name,
      Panels panels,
      Storage floats,
      long blocks,
      Storage scales,
      Scheduler scheduler) {
    WeightType type = panels.type();
    Narrowing toInt8 =
        scales == null
            ? null
            : new Narrowing(
                name, type, floats, blocks, panels.rows(), panels.columns(), scales, scheduler);
    return new PanelPacking(name, panels, floats, toInt8, WeightType.FLOAT32, false);
  }

  /** Prepares to pack blocks of INT8 or BFLOAT16, on which the caller holds a lease. */
  static PanelPacking ofNumbers(Panels panels, StoredWeights numbers, boolean byColumns) {
    return new PanelPacking("weights", panels, numbers.elements(), null, numbers.type(), byColumns);
  }

  /**
   * Writes all packed blocks to memory.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   */
  void putAll(long blocks, Storage into, Scheduler scheduler) {
    long parts = blocks * panels.partsOfBlock();
    int tasks = (int) Math.min(parts, Integer.MAX_VALUE);
    scheduler.run(
        tasks,
        Scheduler.work(blocks * panels.groupsOfBlock(), Panels.PANEL_COLUMNS, Panels.GROUP_ROWS),
        (begin, end) -> {
          byte[] part = newPart();
          float[] cells = newCells();
          for (long p = boundary(begin, parts, tasks); p < boundary(end, parts, tasks); p++) {
            make(p, cells, part);
            into.putBytes(panels.partBegin(p), part, panels.partBytes(panels.groupsOfPart(p)));
          }
        });
  }

  /**
   * Returns the begin of part i when {@code count} items are cut into {@code parts} parts of nearly
   * equal size.
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
    byte[] part = newPart();
    float[] cells = newCells();
    for (long at = begin; at < begin + count; ) {
      long number = panels.partOf(at);
      int offset = (int) (at - panels.partBegin(number));
      int rest = panels.partBytes(panels.groupsOfPart(number)) - offset;
      int length = (int) Math.min(rest, begin + count - at);
      make(number, cells, part);
      into.put(part, offset, length);
      at += length;
    }
  }

  private byte[] newPart() {
    return new byte[panels.partBytes(panels.partGroups())];
  }

  private float[] newCells() {
    return new float[panels.partGroups() * Panels.GROUP_ROWS * Panels.PANEL_COLUMNS];
  }

  /**
   * Makes a part of a panel.
   *
   * @param number of all parts of all blocks
   * @param cells memory for its floats
   */
  private void make(long number, float[] cells, byte[] part) {
    long ofBlock = number % panels.partsOfBlock();
    int mostRows = panels.partGroups() * Panels.GROUP_ROWS;
    int row = (int) (ofBlock % panels.partsOfPanel()) * mostRows;
    int column = (int) (ofBlock / panels.partsOfPanel()) * Panels.PANEL_COLUMNS;
    int rows = Math.min(mostRows, panels.rows() - row);
    int columns = Math.min(Panels.PANEL_COLUMNS, panels.columns() - column);
    long block = number / panels.partsOfBlock() * panels.rows() * panels.columns();
    panels.clear(part);
    if (source != WeightType.FLOAT32) {
      long rowStride = byColumns ? 1 : panels.columns();
      long columnStride = byColumns ? panels.rows() : 1;
      long first = block + row * rowStride + column * columnStride;
      for (int p = 0; p < rows; p++) {
        for (int q = 0; q < columns; q++) {
          long at = first + p * rowStride + q * columnStride;
          if (source == WeightType.BFLOAT16) {
            short bits = from.getShort(at);
            float value = source.widen(bits);
            if (!Float.isFinite(value)) {
              throw Narrowing.notFinite(name, at, value, panels.type());
            }
            panels.putNumber(part, p, q, bits);
          } else {
            panels.putCode(part, p, q, from.getByte(at) + 128);
          }
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
        round(first + q, panels.columns(), cells, rows, q, part);
        continue;
      }
      float scale = toInt8.scale(number / panels.partsOfBlock(), column + q);
      for (int p = 0; p < rows; p++) {
        int whole = Narrowing.whole(cells[p * Panels.PANEL_COLUMNS + q], scale);
        panels.putCode(part, p, q, whole + 128);
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
   * Rounds a column of a part to multiples of scales of its own.
   *
   * @param first the number of its first element, for messages
   * @param stride from one element to the next
   * @param cells the floats of the part by rows, all finite
   * @throws IllegalArgumentException if one is too large for the type
   */
  private void round(long first, long stride, float[] cells, int rows, int q, byte[] part) {
    float largest = 0;
    int place = 0;
    for (int p = 0; p < rows; p++) {
      float value = cells[p * Panels.PANEL_COLUMNS + q];
      if (Math.abs(value) > Math.abs(largest)) {
        largest = value;
        place = p;
      }
    }
    boolean fits =
        switch (panels.type()) {
          case PACKED_BFLOAT16 -> roundToBfloat16(cells, rows, q, part);
          case MXFP4 -> roundToMxfp4(largest, cells, rows, q, part);
          case Q4_K, Q5_K, Q2_K -> roundAboveMinimum(cells, rows, q, part);
          case Q5_1 -> roundToQ5With1(cells, rows, q, part);
          case Q6_K -> roundToQ6K(Math.abs(largest), cells, rows, q, part);
          case IQ4_NL -> roundToIq4Nl(largest, cells, rows, q, part);
          case IQ4_XS -> roundToIq4Xs(Math.abs(largest), cells, rows, q, part);
          default -> roundToMultiples(largest, cells, rows, q, part);
        };
    if (!fits) {
      throw Narrowing.tooLarge(name, first + place * stride, largest, panels.type());
    }
  }

  private boolean roundToBfloat16(float[] cells, int rows, int q, byte[] part) {
    boolean fits = true;
    for (int p = 0; p < rows; p++) {
      short bits = WeightType.BFLOAT16.narrow(cells[p * Panels.PANEL_COLUMNS + q]);
      panels.putNumber(part, p, q, bits);
      fits &= Float.isFinite(WeightType.BFLOAT16.widen(bits));
    }
    return fits;
  }

  private boolean roundToMxfp4(float largest, float[] cells, int rows, int q, byte[] part) {
    int exponent = Math.max(0, Math.getExponent(largest) - 2 + 127);
    panels.putScale(part, 0, 0, q, exponent);
    for (int p = 0; p < rows; p++) {
      panels.putCode(part, p, q, e2m1(cells[p * Panels.PANEL_COLUMNS + q], exponent));
    }
    return true;
  }

  private boolean roundToMultiples(float largest, float[] cells, int rows, int q, byte[] part) {
    boolean bytes = panels.hasBytes();
    short bits =
        bytes
            ? scale(Math.abs(largest), 127)
            : (short) (scale(Math.abs(largest), 8) | (largest > 0 ? 0x8000 : 0));
    float scale = WeightType.FLOAT16.widen(bits);
    panels.putHalf(part, 0, q, bits);
    for (int p = 0; p < rows && scale != 0; p++) {
      double whole = Math.rint(cells[p * Panels.PANEL_COLUMNS + q] / (double) scale);
      int code = bytes ? clamp(whole, -127, 127) + 128 : clamp(whole, -8, 7) + 8;
      panels.putCode(part, p, q, code);
    }
    return Float.isFinite(scale);
  }

  /** Rounds to codes times a scale, minus a minimum, both multiples of units. */
  private boolean roundAboveMinimum(float[] cells, int rows, int q, byte[] part) {
    int top = panels.largest();
    int scaleRows = panels.scaleRows();
    int scales = Scheduler.ceilDiv(rows, scaleRows);
    int ofGroup = Panels.GROUP_ROWS / scaleRows;
    double[] minima = new double[scales];
    double[] ranges = new double[scales];
    Arrays.fill(ranges, Double.NEGATIVE_INFINITY);
    for (int p = 0; p < rows; p++) {
      int s = p / scaleRows;
      double value = cells[p * Panels.PANEL_COLUMNS + q];
      minima[s] = Math.max(minima[s], -value);
      ranges[s] = Math.max(ranges[s], value);
    }
    double minimum = putUnit(part, 1, q, Arrays.stream(minima).max().orElse(0) / 63);
    for (int s = 0; s < scales; s++) {
      int multiple = multiple(minima[s], minimum, 63);
      panels.putScale(part, s / ofGroup, ofGroup + s % ofGroup, q, multiple);
      minima[s] = multiple * minimum;
      ranges[s] += minima[s];
    }
    double unit = putUnit(part, 0, q, Arrays.stream(ranges).max().orElse(0) / (top * 63));
    for (int s = 0; s < scales; s++) {
      int multiple = multiple(ranges[s], top * unit, 63);
      panels.putScale(part, s / ofGroup, s % ofGroup, q, multiple);
      for (int p = s * scaleRows; p < Math.min(rows, (s + 1) * scaleRows); p++) {
        double above = cells[p * Panels.PANEL_COLUMNS + q] + minima[s];
        panels.putCode(part, p, q, clamp(Math.rint(above / (multiple * unit)), 0, top));
      }
    }
    return Double.isFinite(minimum) && Double.isFinite(unit);
  }

  private boolean roundToQ5With1(float[] cells, int rows, int q, byte[] part) {
    double least = 0;
    double most = Double.NEGATIVE_INFINITY;
    for (int p = 0; p < rows; p++) {
      least = Math.min(least, cells[p * Panels.PANEL_COLUMNS + q]);
      most = Math.max(most, cells[p * Panels.PANEL_COLUMNS + q]);
    }
    double minimum = putUnit(part, 1, q, -least);
    double scale = putUnit(part, 0, q, (most + minimum) / 31);
    for (int p = 0; p < rows; p++) {
      double above = cells[p * Panels.PANEL_COLUMNS + q] + minimum;
      panels.putCode(part, p, q, clamp(Math.rint(above / scale), 0, 31));
    }
    return Double.isFinite(minimum) && Double.isFinite(scale);
  }

  private boolean roundToIq4Nl(float largest, float[] cells, int rows, int q, byte[] part) {
    short bits = (short) (scale(Math.abs(largest), 127) | (largest > 0 ? 0x8000 : 0));
    panels.putHalf(part, 0, q, bits);
    float scale = WeightType.FLOAT16.widen(bits);
    for (int p = 0; p < rows; p++) {
      panels.putCode(part, p, q, iq4(cells[p * Panels.PANEL_COLUMNS + q] / (double) scale));
    }
    return Float.isFinite(scale);
  }

  private boolean roundToIq4Xs(float largest, float[] cells, int rows, int q, byte[] part) {
    double unit = putUnit(part, 0, q, largest / (127.0 * 127));
    for (int begin = 0; begin < rows; begin += Panels.GROUP_ROWS) {
      int end = Math.min(rows, begin + Panels.GROUP_ROWS);
      double most = 0;
      for (int p = begin; p < end; p++) {
        double value = cells[p * Panels.PANEL_COLUMNS + q];
        most = Math.abs(value) > Math.abs(most) ? value : most;
      }
      int multiple = multiple(Math.abs(most), 127 * unit, 127);
      int signed = most > 0 ? -multiple : multiple;
      panels.putScale(part, begin / Panels.GROUP_ROWS, 0, q, signed);
      for (int p = begin; p < end; p++) {
        double value = cells[p * Panels.PANEL_COLUMNS + q] / (signed * unit);
        panels.putCode(part, p, q, iq4(value));
      }
    }
    return Double.isFinite(unit);
  }

  /** Returns the code of the IQ4_NL value nearest to a number; ties go to the lower code. */
  private int iq4(double number) {
    int nearest = 8; // NaN, from a scale of 0, gets this code.
    for (int code = 0; code < 16; code++) {
      double distance = Math.abs(number - panels.whole(code));
      double least = Math.abs(number - panels.whole(nearest));
      if (distance < least || (distance == least && code < nearest)) {
        nearest = code;
      }
    }
    return nearest;
  }

  private boolean roundToQ6K(float largest, float[] cells, int rows, int q, byte[] part) {
    double unit = putUnit(part, 0, q, largest / (31.0 * 127));
    for (int begin = 0; begin < rows; begin += panels.scaleRows()) {
      int end = Math.min(rows, begin + panels.scaleRows());
      double most = 0;
      for (int p = begin; p < end; p++) {
        most = Math.max(most, Math.abs(cells[p * Panels.PANEL_COLUMNS + q]));
      }
      int multiple = multiple(most, 31 * unit, 127);
      int which = begin / panels.scaleRows();
      panels.putScale(part, which / 2, which % 2, q, multiple);
      for (int p = begin; p < end; p++) {
        double whole = Math.rint(cells[p * Panels.PANEL_COLUMNS + q] / (multiple * unit));
        panels.putCode(part, p, q, clamp(whole, -32, 31) + 32);
      }
    }
    return Double.isFinite(unit);
  }

  /** Writes the smallest float16 that is at least {@code size}, and returns it. */
  private double putUnit(byte[] part, int which, int q, double size) {
    short bits = WeightType.FLOAT16.narrow((float) size);
    if (WeightType.FLOAT16.widen(bits) < size) {
      bits++;
    }
    panels.putHalf(part, which, q, bits);
    return WeightType.FLOAT16.widen(bits);
  }

  /** Returns the smallest multiple of a unit, up to {@code most}, that is at least {@code size}. */
  private static int multiple(double size, double unit, int most) {
    return unit == 0 ? 0 : (int) Math.min(most, Math.ceil(size / unit));
  }

  /** Returns the nearest number in a range; NaN counts as 0. */
  private static int clamp(double whole, int least, int most) {
    return Math.max(least, Math.min(most, (int) whole));
  }

  /** Returns the bits of a float16 that `most` times, or nearly, is a magnitude. */
  private static short scale(float magnitude, int most) {
    short bits = WeightType.FLOAT16.narrow(magnitude / most);
    return (short) (magnitude > (most + 0.5f) * WeightType.FLOAT16.widen(bits) ? bits + 1 : bits);
  }

  /** Returns the code of the nearest E2M1 number times a power of two; ties go to the even code. */
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
