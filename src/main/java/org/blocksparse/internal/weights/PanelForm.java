// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

/**
 * The contents of a type's panels: codes of weights, and their scales.
 *
 * @param bits the bits of a code
 * @param zero the code of the number 0, which is subtracted from codes; 0 where `values` is not
 *     null
 * @param values the numbers of the codes; null if they are the codes less `zero`
 * @param scaleRows the rows of a column that share a scale
 * @param hasMinimum whether a minimum, stored as the scale is, is subtracted from weights
 */
@SuppressWarnings("ArrayRecordComponent")
record PanelForm(
    int bits, int zero, byte[] values, Scale scale, int scaleRows, boolean hasMinimum) {
  /** The format of the factor of codes. */
  enum Scale {
    /** No factor in the panels; a column of a block may have one beside them. */
    NONE,
    /** A float16. */
    HALF,
    /** The exponent of a power of two, in a byte. */
    POWER,
    /** A multiple, in a byte, of a float16 in the head of eight groups. */
    MULTIPLE
  }

  /** The numbers of E2M1 by their codes, twice as large. */
  static final byte[] E2M1_DOUBLED = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /** The numbers of IQ4_NL and IQ4_XS by their codes. */
  static final byte[] IQ4 = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  /** Codes stand for whole numbers, from {@code -zero} on. */
  PanelForm(int bits, int zero, Scale scale, int scaleRows, boolean hasMinimum) {
    this(bits, zero, null, scale, scaleRows, hasMinimum);
  }

  /** Codes of 4 bits stand for the numbers of a table. */
  PanelForm(byte[] values, Scale scale) {
    this(4, 0, values, scale, Panels.GROUP_ROWS, false);
  }

  /** Returns the bytes of a group's scales, which precede its codes. */
  int scaleBytes() {
    int bytes =
        switch (scale) {
          case NONE -> 0;
          case HALF -> 2;
          case POWER, MULTIPLE -> 1;
        };
    return bytes * scales() * (Panels.GROUP_ROWS / scaleRows);
  }

  /** Returns the bytes of a head: the units of the scales of eight groups. */
  int headBytes() {
    return scale == Scale.MULTIPLE ? 2 * scales() : 0;
  }

  /** Returns the number of scales and minima that columns of a panel have, for the same rows. */
  private int scales() {
    return (hasMinimum ? 2 : 1) * Panels.PANEL_COLUMNS;
  }

  /** Returns the whole number that a code stands for. */
  int whole(int code) {
    return values == null ? code - zero : values[code];
  }

  /** Returns the largest magnitude of {@link #whole}. */
  int largest() {
    int largest = 0;
    for (int code = 0; code < 1 << bits; code++) {
      largest = Math.max(largest, Math.abs(whole(code)));
    }
    return largest;
  }
}
