// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;

/** Memory at an address, the bridge to a MemorySegment. */
final class WrapAddressTest {
  @Test
  void sharesTheMemory() {
    assumeTrue(Backend.isNative());
    try (FloatPointer memory = new FloatPointer(1, 2, 3, 4, 5, 6);
        FloatTensor tensor = FloatTensor.wrapAddress(memory.address(), memory, 2, 3)) {
      assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, tensor.toArray());
      tensor.set(9, 1, 0);
      assertEquals(9, memory.get(3));
    }
  }

  @Test
  void refusesWhatIsNoAddress() {
    assertThrows(IllegalArgumentException.class, () -> FloatTensor.wrapAddress(0, this, 1));
    assertThrows(IllegalArgumentException.class, () -> FloatTensor.wrapAddress(4098, this, 1));
    assertThrows(NullPointerException.class, () -> FloatTensor.wrapAddress(4096, null, 1));
  }
}
