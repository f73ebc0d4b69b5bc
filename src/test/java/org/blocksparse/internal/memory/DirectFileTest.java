// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Reads that return less than was asked for, and file systems that report any block size. */
final class DirectFileTest {
  private static final int ALIGNMENT = 8;
  private static final int FILE_BYTES = 50;

  /** A file of bytes 0, 1, 2, ..., of which a read returns at most `most` bytes. */
  private record ShortReads(int most, List<Long> positions) {
    int read(ByteBuffer to, long position) {
      positions.add(position);
      if (position >= FILE_BYTES) {
        return -1;
      }
      int length = (int) Math.min(Math.min(most, to.remaining()), FILE_BYTES - position);
      for (int i = 0; i < length; i++) {
        to.put((byte) (position + i));
      }
      return length;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {ALIGNMENT + 1, 2 * ALIGNMENT - 1, 2 * ALIGNMENT, 1000})
  void shortReadsGoOnAtAnAlignedPosition(int most) throws IOException {
    for (int begin : new int[] {0, ALIGNMENT, 4 * ALIGNMENT}) {
      for (int length = 0; length <= FILE_BYTES - begin; length++) {
        ShortReads file = new ShortReads(most, new ArrayList<>());
        ByteBuffer buffer = ByteBuffer.allocate(64);
        DirectFile.fill(file::read, begin, ALIGNMENT, length, buffer);
        assertTrue(buffer.position() >= length, buffer + " for " + length);
        for (int i = 0; i < buffer.position(); i++) {
          assertEquals(begin + i, buffer.get(i));
        }
        for (long position : file.positions()) {
          assertEquals(0, position % ALIGNMENT);
        }
      }
    }
  }

  /**
   * The last block ends with the file, or within it; or the file has none of the requested bytes.
   */
  @ParameterizedTest
  @ValueSource(ints = {ALIGNMENT + 1, 2 * ALIGNMENT, 1000})
  void theEndOfTheFileIsNoShortRead(int most) {
    for (int begin : new int[] {0, 5 * ALIGNMENT, 6 * ALIGNMENT}) {
      String message =
          assertThrows(
                  EOFException.class,
                  () ->
                      DirectFile.fill(
                          new ShortReads(most, new ArrayList<>())::read,
                          begin,
                          ALIGNMENT,
                          FILE_BYTES - begin + 1,
                          ByteBuffer.allocate(64)))
              .getMessage();
      assertEquals("the file ends at " + FILE_BYTES, message);
    }
    assertThrows(
        EOFException.class,
        () ->
            DirectFile.fill(
                new ShortReads(most, new ArrayList<>())::read,
                7 * ALIGNMENT,
                ALIGNMENT,
                1,
                ByteBuffer.allocate(64)));
  }

  @Test
  void buffersAreAlignedToPowersOfTwoOnly() {
    for (long possible : new long[] {1, 512, 4096, DirectFile.MAX_BYTES}) {
      assertTrue(DirectFile.isAlignment(possible));
    }
    for (long other : new long[] {Long.MIN_VALUE, -4096, 0, 3, 4095, 6000, 1L << 21, 1L << 40}) {
      assertFalse(DirectFile.isAlignment(other), () -> other + " bytes");
    }
  }
}
