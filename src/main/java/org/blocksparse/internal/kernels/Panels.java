// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.util.Arrays;
import org.blocksparse.internal.memory.Storage;

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
  static final int GROUP_ROWS = 32;

  /** The values of E2M1 by their codes, twice as large. */
  private static final byte[] DOUBLED = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /** The groups that a number of rows begins. */
  static int groups(int rows) {
    return rows / GROUP_ROWS + (rows % GROUP_ROWS == 0 ? 0 : 1);
  }

  int groups() {
    return groups(rows);
  }

  int panels() {
    return columns / PANEL_COLUMNS + (columns % PANEL_COLUMNS == 0 ? 0 : 1);
  }

  /** The groups of a block. */
  long groupsOfBlock() {
    return (long) panels() * groups();
  }

  /** Whether a code has 8 bits, or else 4. */
  boolean hasBytes() {
    return type == WeightType.PACKED_INT8 || type == WeightType.Q8_0;
  }

  /** The bytes of the scales of a group, which lie before its codes. */
  int scaleBytes() {
    return switch (type) {
      case Q8_0, Q4_0 -> 2 * PANEL_COLUMNS;
      case MXFP4 -> PANEL_COLUMNS;
      default -> 0;
    };
  }

  int groupBytes() {
    return scaleBytes() + PANEL_COLUMNS * GROUP_ROWS / (hasBytes() ? 1 : 2);
  }

  /** The bytes of a block. */
  public long blockBytes() {
    return groupsOfBlock() * groupBytes();
  }

  /** Where the group of row p and column q of a block begins, in bytes. */
  private long group(long block, long p, long q) {
    long panel = q / PANEL_COLUMNS;
    return block * blockBytes() + (panel * groups() + p / GROUP_ROWS) * groupBytes();
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

  /** Makes the weights of a group 0, whatever their scales are. */
  void clear(byte[] group) {
    int zero = hasBytes() ? 128 : type == WeightType.Q4_0 ? 0x88 : 0;
    Arrays.fill(group, 0, scaleBytes(), (byte) 0);
    Arrays.fill(group, scaleBytes(), group.length, (byte) zero);
  }

  /** Puts the code of a row and a column into a group. */
  void putCode(byte[] group, int row, int column, int code) {
    int at = scaleBytes() + codeByte(row, column);
    if (hasBytes()) {
      group[at] = (byte) code;
    } else if (isUpperHalf(row)) {
      group[at] = (byte) ((group[at] & 0x0f) | code << 4);
    } else {
      group[at] = (byte) ((group[at] & 0xf0) | code);
    }
  }

  /**
   * The whole number that a weight is a multiple of {@link #scale} by; of INT8, of its column's.
   */
  int whole(Storage storage, long block, long p, long q) {
    int row = (int) (p % GROUP_ROWS);
    long at = group(block, p, q) + scaleBytes() + codeByte(row, (int) (q % PANEL_COLUMNS));
    int both = storage.getByte(at) & 0xff;
    int code = hasBytes() ? both : isUpperHalf(row) ? both >> 4 : both & 15;
    return switch (type) {
      case Q4_0 -> code - 8;
      case MXFP4 -> DOUBLED[code];
      default -> code - 128;
    };
  }

  /** The scale of a column in the group of row p; of MXFP4 half of it, as numbers are doubled. */
  float scale(Storage storage, long block, long p, long q) {
    return scaleAt(storage, group(block, p, q), (int) (q % PANEL_COLUMNS));
  }

  private float scaleAt(Storage storage, long group, int column) {
    return switch (type) {
      case Q8_0, Q4_0 -> {
        int low = storage.getByte(group + 2L * column) & 0xff;
        int high = storage.getByte(group + 2L * column + 1);
        yield WeightType.FLOAT16.widen((short) (high << 8 | low));
      }
      case MXFP4 -> halfPower(storage.getByte(group + column) & 0xff);
      default -> 1;
    };
  }

  /** The first group of blocks that has a scale which makes weights infinite; -1 if none has. */
  public long groupThatIsNotFinite(Storage storage, long blocks) {
    long groups = type == WeightType.PACKED_INT8 ? 0 : blocks * groupsOfBlock();
    for (long g = 0; g < groups; g++) {
      for (int column = 0; column < PANEL_COLUMNS; column++) {
        if (!Float.isFinite(largest() * scaleAt(storage, g * groupBytes(), column))) {
          return g;
        }
      }
    }
    return -1;
  }

  /** The largest magnitude of {@link #whole}. */
  private int largest() {
    return type == WeightType.MXFP4 ? 12 : 128;
  }

  private static float halfPower(int exponent) {
    return exponent == 255 ? Float.NaN : Math.scalb(1f, exponent - 128);
  }

  /** A weight as a float, which of INT8 the scale of its column is still to be applied to. */
  float get(Storage storage, long block, long p, long q) {
    return whole(storage, block, p, q) * scale(storage, block, p, q);
  }
}
