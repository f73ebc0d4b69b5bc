// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

final class HeapRoomTest {
  @ParameterizedTest
  @NullSource
  @ValueSource(strings = "Java heap space")
  void errorsOfTheJvmAreNamed(String message) {
    OutOfMemoryError error = new OutOfMemoryError(message);
    OutOfMemoryError named = HeapRoom.named(error, 1L << 40, "2 classes");
    assertEquals(
        "cannot have about 1099511627776 bytes of the heap for 2 classes", named.getMessage());
    assertSame(error, named.getCause());
  }

  @Test
  void errorsThatTellTheBytesStayThemselves() {
    OutOfMemoryError told = new OutOfMemoryError("cannot allocate 8 bytes");
    assertSame(told, HeapRoom.named(told, 1, "2 classes"));
  }

  @Test
  void anArrayThatNoHeapHasRoomForIsRefusedWithItsBytes() {
    OutOfMemoryError error =
        assertThrows(OutOfMemoryError.class, () -> HeapRoom.ints(Integer.MAX_VALUE, "steps"));
    assertEquals(
        "cannot have about 8589934588 bytes of the heap for 2147483647 steps", error.getMessage());
    assertArrayEquals(new int[3], HeapRoom.ints(3, "steps"));
  }
}
