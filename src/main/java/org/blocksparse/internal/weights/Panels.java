// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.util.Arrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * The layout of packed blocks, and the values of their codes; see PACKED WEIGHTS in the C header. A
 * panel is 16 columns of a block, a group 32 rows of a panel.
 *
 * @param type a packed one
 * @param rows the rows of a block
 * @param columns the columns of a block
 */
public record Panels(WeightType type, int rows, int columns) {
  static final int PANEL_COLUMNS = 16;
  public static final int GROUP_ROWS = 32;

  /** The number of groups that share a head. */
  private static final int HEAD_GROUPS = 8;

  /** The offset of the codes' bits above the low four, in bytes from the first code. */
  private static final int HIGH_BITS = PANEL_COLUMNS * GROUP_ROWS / 2;

  /** Returns the number of groups that rows fill, the last one perhaps in part. */
  public static int groups(int rows) {
    return rows / GROUP_ROWS + (rows % GROUP_ROWS == 0 ? 0 : 1);
  }

  public int groups() {
    return groups(rows);
  }

  int panels() {
    return columns / PANEL_COLUMNS + (columns % PANEL_COLUMNS == 0 ? 0 : 1);
  }

  /** Returns the number of groups of a block. */
  long groupsOfBlock() {
    return (long) panels() * groups();
  }

  /** Returns whether a code has 8 bits. */
  boolean hasBytes() {
    return bits() == 8;
  }

  private PanelForm form() {
    return type.panels();
  }

  /** Returns the number of bits of a code. */
  private int bits() {
    return form().bits();
  }

  /** Returns the bytes of a group's scales, which precede its codes. */
  int scaleBytes() {
    return form().scaleBytes();
  }

  /** Returns the bytes of a head: the scales of the scales, before every eight groups. */
  int headBytes() {
    return form().headBytes();
  }

  /** Returns how many rows of a column share a scale. */
  public int scaleRows() {
    return form().scaleRows();
  }

  int groupBytes() {
    return scaleBytes() + PANEL_COLUMNS * GROUP_ROWS * bits() / 8;
  }

  /** Returns the number of groups of a part of a panel: all that share a head, or one. */
  int partGroups() {
    return headBytes() > 0 ? HEAD_GROUPS : 1;
  }

  /** Returns the number of parts of a panel; the last part may have fewer groups. */
  int partsOfPanel() {
    return Scheduler.ceilDiv(groups(), partGroups());
  }

  /** Returns the number of parts of a block. */
  long partsOfBlock() {
    return (long) panels() * partsOfPanel();
  }

  /**
   * Returns the bytes of a part of {@code groups} groups: a head, if the type has one, then the
   * groups.
   */
  int partBytes(int groups) {
    return headBytes() + groups * groupBytes();
  }

  private long panelBytes() {
    return (long) partsOfPanel() * headBytes() + (long) groups() * groupBytes();
  }

  /** Returns the bytes of a block. */
  public long blockBytes() {
    return panels() * panelBytes();
  }

  /** Returns the first byte of a part by its number, counted over all blocks. */
  long partBegin(long number) {
    return number / partsOfPanel() * panelBytes()
        + number % partsOfPanel() * partBytes(partGroups());
  }

  /** Returns the number of the part that holds a byte. */
  long partOf(long at) {
    return at / panelBytes() * partsOfPanel() + at % panelBytes() / partBytes(partGroups());
  }

  /** Returns the number of groups of a part. */
  int groupsOfPart(long number) {
    int first = (int) (number % partsOfPanel()) * partGroups();
    return Math.min(partGroups(), groups() - first);
  }

  /** Returns the first byte of the part that holds row p and column q of a block. */
  private long part(long block, long p, long q) {
    long panel = block * panels() + q / PANEL_COLUMNS;
    return partBegin(panel * partsOfPanel() + p / GROUP_ROWS / partGroups());
  }

  /** Returns the first byte of the group that holds row p and column q of a block. */
  private long group(long block, long p, long q) {
    return part(block, p, q) + partBytes((int) (p / GROUP_ROWS % partGroups()));
  }

  /** Returns the byte of the code of a row and a column of a group, from its first code. */
  int codeByte(int row, int column) {
    int block = hasBytes() ? row / 4 : row / 8;
    return block * 4 * PANEL_COLUMNS + column * 4 + row % 4;
  }

  /** Returns whether a code of 4 bits is in the upper half of its byte. */
  static boolean isUpperHalf(int row) {
    return row / 4 % 2 == 1;
  }

  /** Sets the weights of a part to 0. */
  void clear(byte[] part) {
    int zero = hasBytes() ? form().zero() : form().zero() * 0x11; // two codes in a byte
    Arrays.fill(part, (byte) 0);
    if (headBytes() == 0) {
      Arrays.fill(part, scaleBytes(), part.length, (byte) zero);
    }
  }

  /** Returns the byte of the bfloat16 of a row and a column of a group. */
  private static int numberByte(int row, int column) {
    return row / 2 * 4 * PANEL_COLUMNS + column * 4 + row % 2 * 2;
  }

  /** Stores the bfloat16 of a row and a column in a part. */
  void putNumber(byte[] part, int row, int column, short bits) {
    int at = numberByte(row, column);
    part[at] = (byte) bits;
    part[at + 1] = (byte) (bits >> 8);
  }

  /** Writes the code of a row and a column into a part, which has no code there yet. */
  void putCode(byte[] part, int row, int column, int code) {
    int codes = partBytes(row / GROUP_ROWS) + scaleBytes();
    if (bits() == 2) {
      part[codes + twoBitsByte(row % GROUP_ROWS, column)] |= (byte) (code << twoBitsShift(row));
      return;
    }
    int at = codes + codeByte(row % GROUP_ROWS, column);
    if (hasBytes()) {
      part[at] = (byte) code;
    } else if (isUpperHalf(row)) {
      part[at] = (byte) ((part[at] & 0x0f) | code << 4);
    } else {
      part[at] = (byte) ((part[at] & 0xf0) | (code & 15));
    }
    if (bits() == 6) {
      part[codes + HIGH_BITS + twoBitsByte(row % GROUP_ROWS, column)] |=
          (byte) (code >> 4 << twoBitsShift(row));
    } else if (bits() == 5) {
      part[codes + HIGH_BITS + bitByte(row, column)] |= (byte) (code >> 4 << bitShift(row));
    }
  }

  /** Stores float16 number {@code which} of a column in a head or, without a head, in a group. */
  void putHalf(byte[] part, int which, int column, short bits) {
    int at = 2 * (which * PANEL_COLUMNS + column);
    part[at] = (byte) bits;
    part[at + 1] = (byte) (bits >> 8);
  }

  /** Stores scale {@code which} of one byte of a group and a column in a part. */
  void putScale(byte[] part, int group, int which, int column, int scale) {
    part[partBytes(group) + which * PANEL_COLUMNS + column] = (byte) scale;
  }

  /** Returns the byte of two bits of a code, from the first such byte of a group. */
  private static int twoBitsByte(int row, int column) {
    return row / 16 * 4 * PANEL_COLUMNS + column * 4 + row % 4;
  }

  private static int twoBitsShift(int row) {
    return row / 4 % 4 * 2;
  }

  /** Returns the byte of the fifth bit of a code, from the first such byte of a group. */
  private static int bitByte(int row, int column) {
    return column * 4 + row % 4;
  }

  private static int bitShift(int row) {
    return row % GROUP_ROWS / 4;
  }

  /**
   * Returns the code of a row and a column of the group whose codes begin at byte {@code codes}.
   */
  private int code(Storage storage, long codes, int row, int column) {
    if (bits() == 2) {
      return storage.getByte(codes + twoBitsByte(row, column)) >> twoBitsShift(row) & 3;
    }
    int both = storage.getByte(codes + codeByte(row, column)) & 0xff;
    int code = hasBytes() ? both : isUpperHalf(row) ? both >> 4 : both & 15;
    long high = codes + HIGH_BITS;
    return switch (bits()) {
      case 6 ->
          code | (storage.getByte(high + twoBitsByte(row, column)) >> twoBitsShift(row) & 3) << 4;
      case 5 -> code | (storage.getByte(high + bitByte(row, column)) >> bitShift(row) & 1) << 4;
      default -> code;
    };
  }

  /**
   * Returns the integer that {@link #scale} (for INT8, the scale of the column) is multiplied by to
   * give the weight.
   */
  public int whole(Storage storage, long block, long p, long q) {
    long codes = group(block, p, q) + scaleBytes();
    return whole(code(storage, codes, (int) (p % GROUP_ROWS), (int) (q % PANEL_COLUMNS)));
  }

  /** Returns the integer that a code represents. */
  public int whole(int code) {
    return form().whole(code);
  }

  /**
   * Returns the scale of row p and column q; for MXFP4 half of it, because the integers are
   * doubled.
   */
  public float scale(Storage storage, long block, long p, long q) {
    long group = group(block, p, q);
    int column = (int) (q % PANEL_COLUMNS);
    return switch (form().scale()) {
      case NONE -> 1;
      case HALF -> half(storage, group + 2L * column);
      case POWER -> halfPower(storage.getByte(group + column) & 0xff);
      case MULTIPLE -> {
        long part = p % GROUP_ROWS / scaleRows();
        int scale = storage.getByte(group + part * PANEL_COLUMNS + column);
        yield half(storage, part(block, p, q) + 2L * column) * scale;
      }
    };
  }

  /** Returns whether a {@link #minimum} is subtracted from weights. */
  public boolean hasMinimum() {
    return form().hasMinimum();
  }

  /** Returns the minimum that is subtracted from the weight of row p and column q. */
  public float minimum(Storage storage, long block, long p, long q) {
    long group = group(block, p, q);
    int column = (int) (q % PANEL_COLUMNS);
    if (headBytes() == 0) {
      return half(storage, group + 2L * (PANEL_COLUMNS + column));
    }
    long minima = GROUP_ROWS / scaleRows() + p % GROUP_ROWS / scaleRows();
    int multiple = storage.getByte(group + minima * PANEL_COLUMNS + column);
    return half(storage, part(block, p, q) + 2L * (PANEL_COLUMNS + column)) * multiple;
  }

  private static float half(Storage storage, long at) {
    return WeightType.FLOAT16.widen(bits(storage, at));
  }

  /** Returns the 16 bits at a byte, in little-endian order. */
  public static short bits(Storage storage, long at) {
    return (short) (storage.getByte(at + 1) << 8 | (storage.getByte(at) & 0xff));
  }

  /** Returns the first group whose weights or padding are not finite, or -1 if there is none. */
  public long groupThatIsNotFinite(Storage storage, long blocks) {
    if (type == WeightType.PACKED_BFLOAT16) {
      return groupOfNumberThatIsNotFinite(storage, blocks);
    }
    long groups = type == WeightType.PACKED_INT8 ? 0 : blocks * groupsOfBlock();
    int largest = largest();
    for (long g = 0; g < groups; g++) {
      long block = g / groupsOfBlock();
      long panel = g % groupsOfBlock() / groups();
      long first = g % groups() * GROUP_ROWS;
      for (long q = panel * PANEL_COLUMNS; q < (panel + 1) * PANEL_COLUMNS; q++) {
        float sizes = 0;
        for (long p = first; p < first + GROUP_ROWS; p += scaleRows()) {
          sizes += Math.abs(largest * scale(storage, block, p, q));
          sizes += hasMinimum() ? Math.abs(minimum(storage, block, p, q)) : 0;
        }
        if (!Float.isFinite(sizes)) {
          return g;
        }
      }
    }
    return -1;
  }

  private long groupOfNumberThatIsNotFinite(Storage storage, long blocks) {
    int exponent = 0x7f80;
    for (long at = 0; at < blocks * blockBytes(); at += 2) {
      if ((bits(storage, at) & exponent) == exponent) {
        return at / groupBytes();
      }
    }
    return -1;
  }

  /** Returns the largest magnitude of {@link #whole(int)}. */
  int largest() {
    return form().largest();
  }

  /** Returns 2^(exponent - 128): half of the scale of MXFP4, because its integers are doubled. */
  public static float halfPower(int exponent) {
    return exponent == 255 ? Float.NaN : Math.scalb(1f, exponent - 128);
  }

  /** Returns a weight as a float. For INT8 the caller multiplies it by the scale of the column. */
  float get(Storage storage, long block, long p, long q) {
    if (type == WeightType.PACKED_BFLOAT16) {
      int number = numberByte((int) (p % GROUP_ROWS), (int) (q % PANEL_COLUMNS));
      return WeightType.BFLOAT16.widen(bits(storage, group(block, p, q) + number));
    }
    float multiple = whole(storage, block, p, q) * scale(storage, block, p, q);
    return hasMinimum() ? multiple - minimum(storage, block, p, q) : multiple;
  }
}
