// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import org.blocksparse.internal.memory.MappedFile;

/**
 * The size of the directory of a zip file, which Java reads as a whole when it opens the file: a
 * hostile one could be as large as memory. Its record is near the end of the file; all candidates
 * for such a record are checked, so that it does not matter which one Java uses.
 */
final class ZipDirectory {
  private static final int END_BYTES = 22;
  private static final int LONGEST_COMMENT = 0xffff;
  private static final int END = 0x06054b50;
  private static final int SIZE_IN_END = 12;

  private static final int LOCATOR_BYTES = 20;
  private static final int LOCATOR = 0x07064b50;
  private static final int PLACE_IN_LOCATOR = 8;
  private static final int SIZE_IN_END_64 = 40;

  private ZipDirectory() {}

  /**
   * Returns the largest number of bytes that a directory at the end of the file claims; none, if
   * there is no zip file.
   */
  static long bytes(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      long fileBytes = channel.size();
      int tailBytes = (int) Math.min(fileBytes, LOCATOR_BYTES + END_BYTES + (long) LONGEST_COMMENT);
      ByteBuffer tail = ByteBuffer.allocate(tailBytes).order(ByteOrder.LITTLE_ENDIAN);
      MappedFile.readFully(channel, fileBytes - tailBytes, tail);
      long most = 0;
      for (int at = 0; at <= tailBytes - END_BYTES; at++) {
        if (tail.getInt(at) == END) {
          most = Math.max(most, Integer.toUnsignedLong(tail.getInt(at + SIZE_IN_END)));
        }
        if (tail.getInt(at) == LOCATOR) {
          most = Math.max(most, largeSize(channel, tail.getLong(at + PLACE_IN_LOCATOR)));
        }
      }
      return most;
    }
  }

  /** Returns the size in the record of large archives, which a locator points to. */
  private static long largeSize(FileChannel channel, long place) throws IOException {
    if (place < 0 || place > channel.size() - SIZE_IN_END_64 - Long.BYTES) {
      return 0;
    }
    ByteBuffer size = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try {
      MappedFile.readFully(channel, place + SIZE_IN_END_64, size);
    } catch (EOFException e) {
      return 0;
    }
    long bytes = size.getLong(0);
    return bytes < 0 ? Long.MAX_VALUE : bytes;
  }
}
