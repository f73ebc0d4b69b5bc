// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.ElementType;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.PanelForm.Scale;

/**
 * The type that weights are stored as. Kernels compute with the floats that they represent; {@link
 * Narrowing} rounds floats to them.
 */
public enum WeightType {
  /** IEEE 754 binary32, without rounding. */
  FLOAT32(Blocksparse.BLOCKSPARSE_FLOAT32, 4),
  /** IEEE 754 binary16. */
  FLOAT16(Blocksparse.BLOCKSPARSE_FLOAT16, 2),
  /** The upper half of a float. */
  BFLOAT16(Blocksparse.BLOCKSPARSE_BFLOAT16, 2),
  /** An integer of 8 bits, times the scale of its column of the block or its row of the table. */
  INT8(Blocksparse.BLOCKSPARSE_INT8, 1),
  /** BFLOAT16 in panels. This type and all below are for products only; see {@link Panels}. */
  PACKED_BFLOAT16(Blocksparse.BLOCKSPARSE_BFLOAT16, new PanelForm(16, 0, Scale.NONE, 32, false)),
  /** INT8 in panels. */
  PACKED_INT8(Blocksparse.BLOCKSPARSE_INT8, new PanelForm(8, 128, Scale.NONE, 32, false)),
  /** An integer of 8 bits, times a float16 for 32 rows of a column. */
  Q8_0(Blocksparse.BLOCKSPARSE_Q8_0, new PanelForm(8, 128, Scale.HALF, 32, false)),
  /** An integer of 4 bits, times a float16 for 32 rows of a column. */
  Q4_0(Blocksparse.BLOCKSPARSE_Q4_0, new PanelForm(4, 8, Scale.HALF, 32, false)),
  /** A float of 4 bits, times a power of two for 32 rows of a column. */
  MXFP4(Blocksparse.BLOCKSPARSE_MXFP4, new PanelForm(PanelForm.E2M1_DOUBLED, Scale.POWER)),
  /** An integer of 4 bits times a scale, minus a minimum, both for 32 rows of a column. */
  Q4_K(Blocksparse.BLOCKSPARSE_Q4_K, new PanelForm(4, 0, Scale.MULTIPLE, 32, true)),
  /** An integer of 6 bits times a scale for 16 rows of a column. */
  Q6_K(Blocksparse.BLOCKSPARSE_Q6_K, new PanelForm(6, 32, Scale.MULTIPLE, 16, false)),
  /** An integer of 5 bits times a scale, minus a minimum, both for 32 rows of a column. */
  Q5_K(Blocksparse.BLOCKSPARSE_Q5_K, new PanelForm(5, 0, Scale.MULTIPLE, 32, true)),
  /** An integer of 2 bits times a scale, minus a minimum, both for 16 rows of a column. */
  Q2_K(Blocksparse.BLOCKSPARSE_Q2_K, new PanelForm(2, 0, Scale.MULTIPLE, 16, true)),
  /** An integer of 5 bits times a float16, minus another float16, both for 32 rows of a column. */
  Q5_1(Blocksparse.BLOCKSPARSE_Q5_1, new PanelForm(5, 0, Scale.HALF, 32, true)),
  /** A value of a table of 16, times a float16 for 32 rows of a column. */
  IQ4_NL(Blocksparse.BLOCKSPARSE_IQ4_NL, new PanelForm(PanelForm.IQ4, Scale.HALF)),
  /** A value of a table of 16, times a scale for 32 rows of a column. */
  IQ4_XS(Blocksparse.BLOCKSPARSE_IQ4_XS, new PanelForm(PanelForm.IQ4, Scale.MULTIPLE));

  private static final int HALF_INFINITY = 0x7c00;

  private final int code;
  private final int bytes;

  @SuppressWarnings("ImmutableEnumChecker") // nobody writes into the numbers of its codes
  private final PanelForm panels;

  WeightType(int code, int bytes) {
    this.code = code;
    this.bytes = bytes;
    this.panels = null;
  }

  WeightType(int code, PanelForm panels) {
    this.code = code;
    this.bytes = 0;
    this.panels = panels;
  }

  /**
   * Returns whether weights are stored in panels, which only forward products with rounded rows
   * read.
   */
  public boolean isPacked() {
    return panels != null;
  }

  /** Returns what panels of this type consist of; null if it is not packed. */
  PanelForm panels() {
    return panels;
  }

  /** Returns the type that {@link org.blocksparse.Weights} of a type store. */
  public static WeightType of(ElementType type) {
    return type == ElementType.INT8 ? PACKED_INT8 : valueOf(type.name());
  }

  /** Returns the type as users know it. */
  public ElementType elementType() {
    return ElementType.valueOf(toString());
  }

  @Override
  public String toString() {
    return this == PACKED_INT8 ? INT8.name() : name();
  }

  /** Returns the number in the C header, {@code blocksparse_element_type}. */
  public int code() {
    return code;
  }

  /** Returns the bytes of an element of a type that is not packed. */
  public int bytes() {
    return bytes;
  }

  /** Returns the number of four-byte words that hold elements of a type that is not packed. */
  public long words(long elements) {
    return (Math.multiplyExact(elements, (long) bytes) + 3) / 4;
  }

  /** Returns whether elements have scales. */
  public boolean hasScales() {
    return this == INT8 || this == PACKED_INT8;
  }

  /**
   * Returns element {@code at} of a storage as a float, before its scale is applied. The type is
   * not packed.
   */
  public float get(Storage storage, long at) {
    return switch (this) {
      case FLOAT32 -> storage.getFloat(at);
      case FLOAT16, BFLOAT16 -> widen(storage.getShort(at));
      case INT8 -> storage.getByte(at);
      default -> throw new IllegalArgumentException(this + " has no elements of its own");
    };
  }

  /** Returns the float that 16 bits of {@link #FLOAT16} or {@link #BFLOAT16} represent. */
  public float widen(short bits) {
    return this == BFLOAT16 ? Float.intBitsToFloat(bits << 16) : widenFloat16(bits);
  }

  private static float widenFloat16(short bits) {
    int magnitude = bits & 0x7fff;
    int sign = (bits & 0x8000) << 16;
    if (magnitude >= HALF_INFINITY) {
      return Float.intBitsToFloat(sign | 0x7f800000 | ((magnitude & 0x3ff) << 13));
    }
    // The exponent is 112 too small for a float; the multiplication corrects it exactly.
    float value = Float.intBitsToFloat(magnitude << 13) * 0x1p112f;
    return Float.intBitsToFloat(sign | Float.floatToRawIntBits(value));
  }

  /**
   * Returns the 16 bits nearest to a finite number, ties to even. Numbers of at least the largest
   * plus half of its last place become infinite.
   */
  public short narrow(float value) {
    return this == BFLOAT16 ? narrowToBfloat16(value) : narrowToFloat16(value);
  }

  private static short narrowToBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  private static short narrowToFloat16(float value) {
    float magnitude = Math.abs(value);
    int sign = (Float.floatToRawIntBits(value) >>> 16) & 0x8000;
    if (magnitude < 0x1p-14f) {
      // Subnormal numbers are multiples of 2^-24, which is the last place of floats from 0.5 on.
      return (short) (sign | (Float.floatToRawIntBits(magnitude + 0.5f) - 0x3f000000));
    }
    int bits = Float.floatToRawIntBits(magnitude);
    int rounded = (bits + 0xfff + ((bits >>> 13) & 1)) >>> 13;
    return (short) (sign | Math.min(rounded - (112 << 10), HALF_INFINITY));
  }
}
