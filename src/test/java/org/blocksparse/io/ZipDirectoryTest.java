// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The directory at the end of a file, by the specification of zip files. */
final class ZipDirectoryTest {
  private static final int END_BYTES = 22;
  private static final int LONGEST_COMMENT = 0xffff;

  @TempDir Path folder;

  private static ByteBuffer content(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void putEnd(ByteBuffer content, int at, int directoryBytes) {
    content.putInt(at, 0x06054b50).putInt(at + 12, directoryBytes);
  }

  private static void putLocator(ByteBuffer content, int at, long place) {
    content.putInt(at, 0x07064b50).putLong(at + 8, place);
  }

  private long bytes(ByteBuffer content) throws IOException {
    byte[] bytes = new byte[content.capacity()];
    content.get(0, bytes);
    return ZipDirectory.bytes(Files.write(folder.resolve("file"), bytes));
  }

  @Test
  void whatIsNoZipFileHasNone() throws IOException {
    for (int bytes : new int[] {0, 1, END_BYTES - 1, END_BYTES, 100_000}) {
      assertEquals(0, bytes(content(bytes)));
    }
  }

  /** The directory is at the end, or before a comment of any length. */
  @Test
  void theEndTellsTheSize() throws IOException {
    for (int before : new int[] {0, 1, 100_000}) {
      for (int comment : new int[] {0, 1, LONGEST_COMMENT}) {
        ByteBuffer content = content(before + END_BYTES + comment);
        putEnd(content, before, 12345);
        assertEquals(12345, bytes(content), before + " before, comment of " + comment);
        putEnd(content, before, -1);
        assertEquals(0xffff_ffffL, bytes(content));
      }
    }
  }

  @Test
  void ofSeveralTheLargestCounts() throws IOException {
    ByteBuffer content = content(4 * END_BYTES);
    putEnd(content, 0, 5);
    putEnd(content, END_BYTES, 7);
    putEnd(content, 3 * END_BYTES, 6);
    assertEquals(7, bytes(content));
  }

  /** The size is in a record anywhere in the file, if all of it is there. */
  @Test
  void largeArchivesHaveItElsewhere() throws IOException {
    int length = 200_000;
    int last = length - 40 - Long.BYTES;
    for (int place : new int[] {0, 1, 1000, last}) {
      for (long size : new long[] {0, 1L << 40, -1}) {
        ByteBuffer content = content(length);
        putLocator(content, length - END_BYTES - 20 - 100, place);
        content.putLong(place + 40, size);
        assertEquals(size < 0 ? Long.MAX_VALUE : size, bytes(content), "at " + place);
      }
    }
    for (long place : new long[] {-1, Long.MIN_VALUE, last + 1, length, Long.MAX_VALUE}) {
      ByteBuffer content = content(length);
      putLocator(content, length - END_BYTES - 20, place);
      putEnd(content, length - END_BYTES, 3);
      assertEquals(3, bytes(content), "at " + place);
    }
  }
}
