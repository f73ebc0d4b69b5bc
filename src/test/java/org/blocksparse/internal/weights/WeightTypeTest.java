// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Numbers in files that our own weights never have. */
final class WeightTypeTest {
  @ParameterizedTest
  @CsvSource({"FLOAT16, 0x7c00, 0x3ff", "BFLOAT16, 0x7f80, 0x7f"})
  void whatIsNoFiniteNumberStaysWhatItIs(WeightType type, int infinity, int fractions) {
    assertEquals(Float.POSITIVE_INFINITY, type.widen((short) infinity));
    assertEquals(Float.NEGATIVE_INFINITY, type.widen((short) (infinity | 0x8000)));
    for (int fraction = 1; fraction <= fractions; fraction++) {
      assertTrue(Float.isNaN(type.widen((short) (infinity + fraction))), "NaN " + fraction);
      assertTrue(Float.isNaN(type.widen((short) ((infinity + fraction) | 0x8000))), "-" + fraction);
    }
  }
}
