// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The types of ggml, each with the fields of its block as ggml-common.h declares them. */
final class GgmlTypeTest {
  private static final int QK_K = 256;

  private final Map<Integer, GgmlType> byCode = new HashMap<>();

  private void check(int code, GgmlType type, int elements, int... bytesOfFields) {
    int bytes = 0;
    for (int field : bytesOfFields) {
      bytes += field;
    }
    assertEquals(type, GgmlType.of(code));
    assertEquals(elements, type.blockSize(), type::name);
    assertEquals(bytes, type.blockBytes(), type::name);
    byCode.put(code, type);
  }

  @Test
  void eachHasItsNumberAndItsBlock() {
    check(0, GgmlType.F32, 1, 4);
    check(1, GgmlType.F16, 1, 2);
    check(2, GgmlType.Q4_0, 32, 2, 16);
    check(3, GgmlType.Q4_1, 32, 2, 2, 16);
    check(6, GgmlType.Q5_0, 32, 2, 4, 16);
    check(7, GgmlType.Q5_1, 32, 2, 2, 4, 16);
    check(8, GgmlType.Q8_0, 32, 2, 32);
    check(9, GgmlType.Q8_1, 32, 2, 2, 32);
    check(10, GgmlType.Q2_K, QK_K, QK_K / 16, QK_K / 4, 2, 2);
    check(11, GgmlType.Q3_K, QK_K, QK_K / 8, QK_K / 4, 12, 2);
    check(12, GgmlType.Q4_K, QK_K, 2, 2, 12, QK_K / 2);
    check(13, GgmlType.Q5_K, QK_K, 2, 2, 12, QK_K / 8, QK_K / 2);
    check(14, GgmlType.Q6_K, QK_K, QK_K / 2, QK_K / 4, QK_K / 16, 2);
    check(15, GgmlType.Q8_K, QK_K, 4, QK_K, QK_K / 16 * 2);
    check(16, GgmlType.IQ2_XXS, QK_K, 2, QK_K / 8 * 2);
    check(17, GgmlType.IQ2_XS, QK_K, 2, QK_K / 8 * 2, QK_K / 32);
    check(18, GgmlType.IQ3_XXS, QK_K, 2, 3 * (QK_K / 8));
    check(19, GgmlType.IQ1_S, QK_K, 2, QK_K / 8, QK_K / 32 * 2);
    check(20, GgmlType.IQ4_NL, 32, 2, 16);
    check(21, GgmlType.IQ3_S, QK_K, 2, QK_K / 4, QK_K / 32, QK_K / 8, QK_K / 64);
    check(22, GgmlType.IQ2_S, QK_K, 2, QK_K / 4, QK_K / 32, QK_K / 32);
    check(23, GgmlType.IQ4_XS, QK_K, 2, 2, QK_K / 64, QK_K / 2);
    check(24, GgmlType.I8, 1, 1);
    check(25, GgmlType.I16, 1, 2);
    check(26, GgmlType.I32, 1, 4);
    check(27, GgmlType.I64, 1, 8);
    check(28, GgmlType.F64, 1, 8);
    check(29, GgmlType.IQ1_M, QK_K, QK_K / 8, QK_K / 16, QK_K / 32);
    check(30, GgmlType.BF16, 1, 2);
    check(34, GgmlType.TQ1_0, QK_K, (QK_K - 4 * QK_K / 64) / 5, QK_K / 64, 2);
    check(35, GgmlType.TQ2_0, QK_K, QK_K / 4, 2);
    check(39, GgmlType.MXFP4, 32, 1, 16);
    check(40, GgmlType.NVFP4, 64, 4, 32);
    assertEquals(EnumSet.complementOf(EnumSet.of(GgmlType.OTHER)), EnumSet.copyOf(byCode.values()));
    for (int code = -2; code < 1000; code++) {
      assertEquals(byCode.getOrDefault(code, GgmlType.OTHER), GgmlType.of(code));
    }
  }
}
