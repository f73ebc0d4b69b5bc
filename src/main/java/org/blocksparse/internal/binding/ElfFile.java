// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLConnection;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Whether a library of Linux is all there. The system does not look: it maps what the file says it
 * holds, and ends the process at the first page that is missing. Elsewhere the loader refuses.
 */
final class ElfFile {
  /** The header, and after it the segments of any usual library. */
  private static final int HEAD_BYTES = 4096;

  private static final int HEADER_BYTES = 64;
  private static final int SEGMENT_BYTES = 56;
  private static final int MAGIC = 0x464C457F;
  private static final int SIXTY_FOUR_BIT_LITTLE_ENDIAN = 0x0102;
  private static final int LOADED_SEGMENT = 1;

  private ElfFile() {}

  /** Whether the file ends before a part of it that would be loaded. */
  static boolean isTruncated(URL file) throws IOException {
    URLConnection connection = file.openConnection();
    long told = connection.getContentLengthLong();
    try (InputStream in = connection.getInputStream()) {
      byte[] head = in.readNBytes(HEAD_BYTES);
      // Class loaders that make their own connections need not know a length.
      long bytes = told >= 0 ? told : head.length + in.transferTo(OutputStream.nullOutputStream());
      return isTruncated(ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN), bytes);
    }
  }

  private static boolean isTruncated(ByteBuffer head, long bytes) {
    if (head.limit() < HEADER_BYTES
        || head.getInt(0) != MAGIC
        || head.getShort(4) != SIXTY_FOUR_BIT_LITTLE_ENDIAN) {
      return false; // the system says what is wrong with it
    }
    long segment = head.getLong(32);
    int segmentBytes = Short.toUnsignedInt(head.getShort(54));
    int segments = Short.toUnsignedInt(head.getShort(56));
    for (int s = 0; s < segments; s++, segment += segmentBytes) {
      if (segment < 0 || segment > head.limit() - SEGMENT_BYTES) {
        return false;
      }
      int at = (int) segment;
      long end = head.getLong(at + 8) + head.getLong(at + 32);
      if (head.getInt(at) == LOADED_SEGMENT && end > bytes) {
        return true;
      }
    }
    return false;
  }
}
