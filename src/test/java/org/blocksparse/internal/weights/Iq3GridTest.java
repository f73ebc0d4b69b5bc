// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;

/** The points of IQ3_S, compared by the checksum of ggml's table: four bytes for each code. */
final class Iq3GridTest {
  @Test
  void pointsAreThoseOfGgml() {
    CRC32 sum = new CRC32();
    for (int i = 0; i < 4 * 512; i++) {
      sum.update(Iq3Grid.number(i / 4, i % 4));
    }
    assertEquals(0xf576e4f3L, sum.getValue());
  }
}
