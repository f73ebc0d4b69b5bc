// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.internal.binding.Blocksparse;

/** The rounding of a product's input rows. */
public enum RowFormat {
  /** Floats without rounding. */
  FLOATS(-1),
  /**
   * Rounded to bfloat16. Products with packed weights read this format and all below; see ROUNDED
   * ROWS in the C header.
   */
  BFLOAT16(Blocksparse.BLOCKSPARSE_ROWS_OF_BFLOAT16),
  /** Rounded to int8 with a scale for each 32 numbers. */
  GROUPS(Blocksparse.BLOCKSPARSE_ROWS_OF_GROUPS),
  /** Rounded to int8 with a scale for each row. */
  BYTES(Blocksparse.BLOCKSPARSE_ROWS_OF_BYTES),
  /** Rounded to two bytes for each number, with a scale for each row. */
  TWO_BYTES(Blocksparse.BLOCKSPARSE_ROWS_OF_TWO_BYTES);

  /** The argument of {@link #ofBits} that leaves the choice to the type of the weights. */
  public static final int ANY_BITS = 0;

  private final int code;

  RowFormat(int code) {
    this.code = code;
  }

  /** Returns the number in the C header, {@code blocksparse_row_format}. */
  public int code() {
    return code;
  }

  /** Returns whether a row has one scale. */
  public boolean isWhole() {
    return this == BYTES || this == TWO_BYTES;
  }

  /**
   * Returns the number of contiguous rows from which on tiles of AMX repay copying rows into order;
   * 0 if tiles do not multiply this format.
   */
  public int rowsForTiles() {
    return switch (this) {
      case BFLOAT16, TWO_BYTES -> 4;
      case BYTES -> 12;
      case FLOATS, GROUPS -> 0;
    };
  }

  /** Returns the number of codes of one element. */
  public int planes() {
    return this == TWO_BYTES ? 2 : 1;
  }

  /**
   * Returns the format of the rows that weights of a type multiply.
   *
   * @param transposed whether they are a transposed view
   * @param bits the bits that rows keep of each number
   * @return null if these weights have none of so many bits
   */
  public static RowFormat ofBits(WeightType weights, boolean transposed, int bits) {
    RowFormat ofAny =
        switch (weights) {
          case FLOAT32, FLOAT16, INT8 -> FLOATS;
          case BFLOAT16 -> transposed ? FLOATS : BFLOAT16;
          case PACKED_BFLOAT16 -> BFLOAT16;
          case PACKED_INT8 -> BYTES;
          default -> GROUPS;
        };
    boolean packed = weights.isPacked();
    return switch (bits) {
      case ANY_BITS -> ofAny;
      case 8 -> packed && ofAny != BFLOAT16 ? ofAny : null;
      case 16 -> ofAny == BYTES ? TWO_BYTES : ofAny == BFLOAT16 ? BFLOAT16 : null;
      default -> packed ? null : FLOATS;
    };
  }
}
