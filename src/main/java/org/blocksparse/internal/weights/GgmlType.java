// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The types of ggml's tensors, under ggml's names: each block of bytes holds some elements of a
 * row. The table names the panel type that holds the same numbers, if there is one.
 */
public enum GgmlType {
  F32(0, 1, 4),
  F16(1, 1, 2),
  Q4_0(2, 32, 18, WeightType.Q4_0),
  Q4_1(3, 32, 20, WeightType.Q5_1),
  Q5_0(6, 32, 22, WeightType.Q8_0),
  Q5_1(7, 32, 24, WeightType.Q5_1),
  Q8_0(8, 32, 34, WeightType.Q8_0),
  Q8_1(9, 32, 36),
  Q2_K(10, 256, 84, WeightType.Q2_K),
  Q3_K(11, 256, 110, WeightType.Q6_K),
  Q4_K(12, 256, 144, WeightType.Q4_K),
  Q5_K(13, 256, 176, WeightType.Q5_K),
  Q6_K(14, 256, 210, WeightType.Q6_K),
  Q8_K(15, 256, 292),
  IQ2_XXS(16, 256, 66),
  IQ2_XS(17, 256, 74),
  IQ3_XXS(18, 256, 98),
  IQ1_S(19, 256, 50),
  IQ4_NL(20, 32, 18, WeightType.IQ4_NL),
  IQ3_S(21, 256, 110, WeightType.Q6_K),
  IQ2_S(22, 256, 82),
  IQ4_XS(23, 256, 136, WeightType.IQ4_XS),
  I8(24, 1, 1),
  I16(25, 1, 2),
  I32(26, 1, 4),
  I64(27, 1, 8),
  F64(28, 1, 8),
  IQ1_M(29, 256, 56),
  BF16(30, 1, 2),
  TQ1_0(34, 256, 54),
  TQ2_0(35, 256, 66),
  MXFP4(39, 32, 17, WeightType.MXFP4),
  NVFP4(40, 64, 36),

  /** Any other type, whose tensors cannot be read. */
  OTHER(-1, 1, 0);

  private static final Set<GgmlType> WIDENED =
      Arrays.stream(values())
          .filter(type -> type.packed != null || type == F32 || type == F16 || type == BF16)
          .collect(
              Collectors.collectingAndThen(
                  Collectors.toCollection(() -> EnumSet.noneOf(GgmlType.class)),
                  Collections::unmodifiableSet));

  private final int code;
  private final int blockSize;
  private final int blockBytes;
  private final WeightType packed;

  GgmlType(int code, int blockSize, int blockBytes) {
    this(code, blockSize, blockBytes, null);
  }

  GgmlType(int code, int blockSize, int blockBytes, WeightType packed) {
    this.code = code;
    this.blockSize = blockSize;
    this.blockBytes = blockBytes;
    this.packed = packed;
  }

  /**
   * Returns the type with a number in files, or {@link #OTHER} if this library does not know it.
   */
  public static GgmlType of(int code) {
    for (GgmlType type : values()) {
      if (type.code == code) {
        return type;
      }
    }
    return OTHER;
  }

  /** Returns the types that can be widened to floats: types that can be packed, and floats. */
  public static Set<GgmlType> widened() {
    return WIDENED;
  }

  /** Returns the number of elements of a block. A row consists of whole blocks. */
  public int blockSize() {
    return blockSize;
  }

  /** Returns the number of bytes of a block. */
  public int blockBytes() {
    return blockBytes;
  }

  /**
   * Returns the panel type that holds the same numbers.
   *
   * @throws IllegalArgumentException if there is none
   */
  WeightType packed() {
    if (packed == null) {
      throw new IllegalArgumentException(name());
    }
    return packed;
  }
}
