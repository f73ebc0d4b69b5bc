// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.util.Arrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Where the weights of packed blocks lie, and what they are: the PACKED WEIGHTS of the C header. A
 * panel is 16 columns of a block, a group 32 rows of a panel.
 *
 * @param type a packed one
 * @param rows of a block
 * @param columns of a block
 */
public record Panels(WeightType type, int rows, int columns) {
  static final int PANEL_COLUMNS = 16;
  public static final int GROUP_ROWS = 32;

  /** Groups that share a head. */
  private static final int HEAD_GROUPS = 8;

  /** Where the bits of codes begin that four bits do not hold, in bytes from the first code. */
  private static final int HIGH_BITS = PANEL_COLUMNS * GROUP_ROWS / 2;

  /** The values of E2M1 by their codes, twice as large. */
  private static final byte[] DOUBLED = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /** The values of IQ4_NL and IQ4_XS by their codes. */
  private static final byte[] IQ4 = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  /** The groups that a number of rows begins. */
  public static int groups(int rows) {
    return rows / GROUP_ROWS + (rows % GROUP_ROWS == 0 ? 0 : 1);
  }

  public int groups() {
    return groups(rows);
  }

  int panels() {
    return columns / PANEL_COLUMNS + (columns % PANEL_COLUMNS == 0 ? 0 : 1);
  }

  /** The groups of a block. */
  long groupsOfBlock() {
    return (long) panels() * groups();
  }

  /** Whether a code has 8 bits. */
  boolean hasBytes() {
    return bits() == 8;
  }

  /** The bits of a code. */
  private int bits() {
    return switch (type) {
      case PACKED_BFLOAT16 -> 16;
      case PACKED_INT8, Q8_0 -> 8;
      case Q6_K -> 6;
      case Q5_K, Q5_1 -> 5;
      case Q2_K -> 2;
      default -> 4;
    };
  }

  /** The bytes of the scales of a group, which lie before its codes. */
  int scaleBytes() {
    return switch (type) {
      case Q5_1, Q2_K -> 4 * PANEL_COLUMNS;
      case Q8_0, Q4_0, IQ4_NL, Q4_K, Q5_K, Q6_K -> 2 * PANEL_COLUMNS;
      case MXFP4, IQ4_XS -> PANEL_COLUMNS;
      default -> 0;
    };
  }

  /** The bytes of the scales of scales, before every eight groups. */
  int headBytes() {
    return switch (type) {
      case Q4_K, Q5_K, Q2_K -> 4 * PANEL_COLUMNS;
      case Q6_K, IQ4_XS -> 2 * PANEL_COLUMNS;
      default -> 0;
    };
  }

  /** The rows of a column that share a scale. */
  public int scaleRows() {
    return type == WeightType.Q6_K || type == WeightType.Q2_K ? GROUP_ROWS / 2 : GROUP_ROWS;
  }

  int groupBytes() {
    return scaleBytes() + PANEL_COLUMNS * GROUP_ROWS * bits() / 8;
  }

  /** The groups of a part of a panel: those that share a head, or one. */
  int partGroups() {
    return headBytes() > 0 ? HEAD_GROUPS : 1;
  }

  /** The parts of a panel; the last one may have fewer groups. */
  int partsOfPanel() {
    return Scheduler.ceilDiv(groups(), partGroups());
  }

  /** The parts of a block. */
  long partsOfBlock() {
    return (long) panels() * partsOfPanel();
  }

  /** The bytes of a part of that many groups: a head, if the type has one, then the groups. */
  int partBytes(int groups) {
    return headBytes() + groups * groupBytes();
  }

  private long panelBytes() {
    return (long) partsOfPanel() * headBytes() + (long) groups() * groupBytes();
  }

  /** The bytes of a block. */
  public long blockBytes() {
    return panels() * panelBytes();
  }

  /** Where a part begins, by its number in all blocks, in bytes. */
  long partBegin(long number) {
    return number / partsOfPanel() * panelBytes()
        + number % partsOfPanel() * partBytes(partGroups());
  }

  /** The number of the part that has a byte. */
  long partOf(long at) {
    return at / panelBytes() * partsOfPanel() + at % panelBytes() / partBytes(partGroups());
  }

  /** The groups of a part, by its number. */
  int groupsOfPart(long number) {
    int first = (int) (number % partsOfPanel()) * partGroups();
    return Math.min(partGroups(), groups() - first);
  }

  /** Where the part of row p and column q of a block begins, in bytes. */
  private long part(long block, long p, long q) {
    long panel = block * panels() + q / PANEL_COLUMNS;
    return partBegin(panel * partsOfPanel() + p / GROUP_ROWS / partGroups());
  }

  /** Where the group of row p and column q of a block begins, in bytes. */
  private long group(long block, long p, long q) {
    return part(block, p, q) + partBytes((int) (p / GROUP_ROWS % partGroups()));
  }

  /** Where the code of a row and a column of a group is, in bytes from its first code. */
  int codeByte(int row, int column) {
    int block = hasBytes() ? row / 4 : row / 8;
    return block * 4 * PANEL_COLUMNS + column * 4 + row % 4;
  }

  /** Whether a code of 4 bits is in the upper half of its byte. */
  static boolean isUpperHalf(int row) {
    return row / 4 % 2 == 1;
  }

  /** Makes the weights of a part 0. */
  void clear(byte[] part) {
    int zero = hasBytes() ? 128 : type == WeightType.Q4_0 ? 0x88 : 0;
    Arrays.fill(part, (byte) 0);
    if (headBytes() == 0) {
      Arrays.fill(part, scaleBytes(), part.length, (byte) zero);
    }
  }

  /** Where the bfloat16 of a row and a column of a group is, in bytes. */
  private static int numberByte(int row, int column) {
    return row / 2 * 4 * PANEL_COLUMNS + column * 4 + row % 2 * 2;
  }

  /** Puts the bfloat16 of a row and a column into a part. */
  void putNumber(byte[] part, int row, int column, short bits) {
    int at = numberByte(row, column);
    part[at] = (byte) bits;
    part[at + 1] = (byte) (bits >> 8);
  }

  /** Puts the code of a row and a column into a part, where there is none. */
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

  /** Puts float16 number `which` of a column into a head or, where there is none, a group. */
  void putHalf(byte[] part, int which, int column, short bits) {
    int at = 2 * (which * PANEL_COLUMNS + column);
    part[at] = (byte) bits;
    part[at + 1] = (byte) (bits >> 8);
  }

  /** Puts scale `which` of one byte of a group and a column into a part. */
  void putScale(byte[] part, int group, int which, int column, int scale) {
    part[partBytes(group) + which * PANEL_COLUMNS + column] = (byte) scale;
  }

  /** Where two bits of a code are, in bytes from the first ones of a group. */
  private static int twoBitsByte(int row, int column) {
    return row / 16 * 4 * PANEL_COLUMNS + column * 4 + row % 4;
  }

  private static int twoBitsShift(int row) {
    return row / 4 % 4 * 2;
  }

  /** Where the fifth bit of a code is, in bytes from the first one of a group. */
  private static int bitByte(int row, int column) {
    return column * 4 + row % 4;
  }

  private static int bitShift(int row) {
    return row % GROUP_ROWS / 4;
  }

  /** The code of a row and a column of a group, whose codes begin at a byte. */
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
   * The whole number that a weight is a multiple of {@link #scale} by; of INT8, of its column's.
   */
  public int whole(Storage storage, long block, long p, long q) {
    long codes = group(block, p, q) + scaleBytes();
    return whole(code(storage, codes, (int) (p % GROUP_ROWS), (int) (q % PANEL_COLUMNS)));
  }

  /** The whole number that a code stands for. */
  public int whole(int code) {
    return switch (type) {
      case Q4_0 -> code - 8;
      case MXFP4 -> DOUBLED[code];
      case Q4_K, Q5_K, Q2_K, Q5_1 -> code;
      case Q6_K -> code - 32;
      case IQ4_NL, IQ4_XS -> IQ4[code];
      default -> code - 128;
    };
  }

  /** The scale of row p and a column; of MXFP4 half of it, as numbers are doubled. */
  public float scale(Storage storage, long block, long p, long q) {
    long group = group(block, p, q);
    int column = (int) (q % PANEL_COLUMNS);
    return switch (type) {
      case Q8_0, Q4_0, IQ4_NL, Q5_1 -> half(storage, group + 2L * column);
      case MXFP4 -> halfPower(storage.getByte(group + column) & 0xff);
      case Q4_K, Q5_K, Q2_K, Q6_K, IQ4_XS -> {
        long part = p % GROUP_ROWS / scaleRows();
        int scale = storage.getByte(group + part * PANEL_COLUMNS + column);
        yield half(storage, part(block, p, q) + 2L * column) * scale;
      }
      default -> 1;
    };
  }

  /** Whether a {@link #minimum} is taken off weights. */
  public boolean hasMinimum() {
    return switch (type) {
      case Q4_K, Q5_K, Q2_K, Q5_1 -> true;
      default -> false;
    };
  }

  /** The minimum that is taken off the weight of row p and a column. */
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

  /** A number of 16 bits. */
  public static short bits(Storage storage, long at) {
    return (short) (storage.getByte(at + 1) << 8 | (storage.getByte(at) & 0xff));
  }

  /** The first group of blocks that makes weights, or their padding, infinite; -1 if none does. */
  public long groupThatIsNotFinite(Storage storage, long blocks) {
    if (type == WeightType.PACKED_BFLOAT16) {
      return groupOfNumberThatIsNotFinite(storage, blocks);
    }
    long groups = type == WeightType.PACKED_INT8 ? 0 : blocks * groupsOfBlock();
    for (long g = 0; g < groups; g++) {
      long block = g / groupsOfBlock();
      long panel = g % groupsOfBlock() / groups();
      long first = g % groups() * GROUP_ROWS;
      for (long q = panel * PANEL_COLUMNS; q < (panel + 1) * PANEL_COLUMNS; q++) {
        float sizes = 0;
        for (long p = first; p < first + GROUP_ROWS; p += scaleRows()) {
          sizes += Math.abs(largest() * scale(storage, block, p, q));
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

  /** The largest magnitude of {@link #whole}. */
  private int largest() {
    return switch (type) {
      case MXFP4 -> 12;
      case Q4_K -> 15;
      case Q5_K, Q5_1 -> 31;
      case Q2_K -> 3;
      case Q6_K -> 32;
      default -> 128;
    };
  }

  /** 2^(exponent - 128): half of the scale of MXFP4, as its values are doubled. */
  public static float halfPower(int exponent) {
    return exponent == 255 ? Float.NaN : Math.scalb(1f, exponent - 128);
  }

  /** A weight as a float, which of INT8 the scale of its column is still to be applied to. */
  float get(Storage storage, long block, long p, long q) {
    if (type == WeightType.PACKED_BFLOAT16) {
      int number = numberByte((int) (p % GROUP_ROWS), (int) (q % PANEL_COLUMNS));
      return WeightType.BFLOAT16.widen(bits(storage, group(block, p, q) + number));
    }
    float multiple = whole(storage, block, p, q) * scale(storage, block, p, q);
    return hasMinimum() ? multiple - minimum(storage, block, p, q) : multiple;
  }
}
