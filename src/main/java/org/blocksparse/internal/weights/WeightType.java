// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.ElementType;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.memory.Storage;

/**
 * The type that weights are stored as; kernels compute with the floats that they stand for. {@link
 * Narrowing} makes them of floats.
 */
public enum WeightType {
  /** As it is. */
  FLOAT32(Blocksparse.BLOCKSPARSE_FLOAT32, 4),
  /** IEEE 754 binary16. */
  FLOAT16(Blocksparse.BLOCKSPARSE_FLOAT16, 2),
  /** The upper half of a float. */
  BFLOAT16(Blocksparse.BLOCKSPARSE_BFLOAT16, 2),
  /**
   * A whole number, times the scale of its column of the block or its row of the table; in blocks
   * of layers, which are also trained from and searched by row.
   */
  INT8(Blocksparse.BLOCKSPARSE_INT8, 1),
  /** BFLOAT16 in panels, for products alone, as all that follow; see {@link Panels}. */
  PACKED_BFLOAT16(Blocksparse.BLOCKSPARSE_BFLOAT16),
  /** INT8 in panels. */
  PACKED_INT8(Blocksparse.BLOCKSPARSE_INT8),
  /** A whole number of 8 bits, times a float16 for 32 rows of a column. */
  Q8_0(Blocksparse.BLOCKSPARSE_Q8_0),
  /** A whole number of 4 bits, times a float16 for 32 rows of a column. */
  Q4_0(Blocksparse.BLOCKSPARSE_Q4_0),
  /** A float of 4 bits, times a power of two for 32 rows of a column. */
  MXFP4(Blocksparse.BLOCKSPARSE_MXFP4),
  /** A whole number of 4 bits times a scale, less a minimum, both for 32 rows of a column. */
  Q4_K(Blocksparse.BLOCKSPARSE_Q4_K),
  /** A whole number of 6 bits times a scale for 16 rows of a column. */
  Q6_K(Blocksparse.BLOCKSPARSE_Q6_K),
  /** A whole number of 5 bits times a scale, less a minimum, both for 32 rows of a column. */
  Q5_K(Blocksparse.BLOCKSPARSE_Q5_K),
  /** A whole number of 2 bits times a scale, less a minimum, both for 16 rows of a column. */
  Q2_K(Blocksparse.BLOCKSPARSE_Q2_K),
  /** A whole number of 5 bits times a float16, less another, both for 32 rows of a column. */
  Q5_1(Blocksparse.BLOCKSPARSE_Q5_1),
  /** A value of a table of 16, times a float16 for 32 rows of a column. */
  IQ4_NL(Blocksparse.BLOCKSPARSE_IQ4_NL),
  /** A value of a table of 16, times a scale for 32 rows of a column. */
  IQ4_XS(Blocksparse.BLOCKSPARSE_IQ4_XS);

  private static final int PACKED = 0;

  private static final int HALF_INFINITY = 0x7c00;

  private final int code;
  private final int bytes;

  WeightType(int code, int bytes) {
    this.code = code;
    this.bytes = bytes;
  }

  WeightType(int code) {
    this(code, PACKED);
  }

  /** Whether they lie in panels, which only forward products with rounded rows read. */
  public boolean isPacked() {
    return bytes == PACKED;
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

  /** Its number in the C header, {@code blocksparse_element_type}. */
  public int code() {
    return code;
  }

  /** Bytes of an element, unless the type is packed. */
  public int bytes() {
    return bytes;
  }

  /** The elements of four bytes that hold that many of these, unless the type is packed. */
  public long words(long elements) {
    return (Math.multiplyExact(elements, (long) bytes) + 3) / 4;
  }

  /** Whether elements have scales. */
  public boolean hasScales() {
    return this == INT8 || this == PACKED_INT8;
  }

  /**
   * Element {@code at} of a storage as a float, which its scale is still to be applied to; of types
   * that are not packed.
   */
  public float get(Storage storage, long at) {
    return switch (this) {
      case FLOAT32 -> storage.getFloat(at);
      case FLOAT16, BFLOAT16 -> widen(storage.getShort(at));
      case INT8 -> storage.getByte(at);
      default -> throw new IllegalArgumentException(this + " has no elements of its own");
    };
  }

  /** The float that a number of 16 bits stands for: of {@link #FLOAT16} or {@link #BFLOAT16}. */
  public float widen(short bits) {
    return this == BFLOAT16 ? Float.intBitsToFloat(bits << 16) : widenFloat16(bits);
  }

  private static float widenFloat16(short bits) {
    int magnitude = bits & 0x7fff;
    int sign = (bits & 0x8000) << 16;
    if (magnitude >= HALF_INFINITY) {
      return Float.intBitsToFloat(sign | 0x7f800000 | ((magnitude & 0x3ff) << 13));
    }
    // With the exponent of a float that is 2^112 times as small, then exactly scaled.
    float value = Float.intBitsToFloat(magnitude << 13) * 0x1p112f;
    return Float.intBitsToFloat(sign | Float.floatToRawIntBits(value));
  }

  /**
   * The number of 16 bits that is nearest to a finite one, of two the even one; infinite if it is
   * beyond the largest by half of its last place or more.
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
      // Subnormal: whole multiples of 2^-24, which a float of 2^-1 has as its last place.
      return (short) (sign | (Float.floatToRawIntBits(magnitude + 0.5f) - 0x3f000000));
    }
    int bits = Float.floatToRawIntBits(magnitude);
    int rounded = (bits + 0xfff + ((bits >>> 13) & 1)) >>> 13;
    return (short) (sign | Math.min(rounded - (112 << 10), HALF_INFINITY));
  }
}
