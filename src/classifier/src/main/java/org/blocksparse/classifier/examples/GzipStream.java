// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import java.util.zip.ZipException;

/**
 * Decompresses gzip (RFC 1952): all members to the end of the stream, each with its checksum, and data as soon as they have come. <p>{@link java.util.zip.GZIPInputStream} mistakes a pipe without waiting data for one that has ended, and a damaged member after a good one for the end. The stream of Commons Compress 1.28
 * waits until its caller's array is full, so that a line in a pipe is not answered before the next
 * ones come; refuses the zeros with which tapes fill blocks up; and keeps a name in the header
 * whatever its length.
 */
final class GzipStream extends InputStream {
  private static final int FIRST_OF_MAGIC = 0x1f;
  private static final int SECOND_OF_MAGIC = 0x8b;
  private static final int DEFLATED = 8;
  private static final int HAS_HEADER_SUM = 2;
  private static final int HAS_EXTRA = 4;
  private static final int HAS_NAME = 8;
  private static final int HAS_COMMENT = 16;
  private static final int RESERVED = 0xe0;
  private static final int TIME_LEVEL_AND_SYSTEM = 6; // bytes

  private final InputStream in;
  private final Inflater inflater = new Inflater(true);
  private final CRC32 sum = new CRC32();
  private final byte[] buffer = new byte[1 << 16];
  private int begin;
  private int end;
  private boolean ended;
  private boolean closed;

  /** Starts at the magic number. */
  GzipStream(InputStream in) throws IOException {
    this.in = in;
    try {
      readHeader();
    } catch (Throwable e) {
      inflater.end();
      throw e;
    }
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    if (closed) {
      throw new IOException("Stream closed"); // the message of Java's streams; the inflater would throw a NullPointerException
    }
    while (length > 0 && !ended) {
      int count = inflate(bytes, offset, length);
      if (count > 0) {
        sum.update(bytes, offset, count);
        return count;
      }
      if (inflater.finished()) {
        endMember();
      } else if (inflater.needsInput()) {
        fill();
        inflater.setInput(buffer, 0, end);
      } else {
        throw new ZipException("gzip: expected no dictionary");
      }
    }
    return length == 0 ? 0 : -1;
  }

  private int inflate(byte[] bytes, int offset, int length) throws IOException {
    try {
      return inflater.inflate(bytes, offset, length);
    } catch (DataFormatException e) {
      throw new ZipException("gzip: " + e.getMessage());
    }
  }

  private void endMember() throws IOException {
    begin = end - inflater.getRemaining();
    if (readInt() != (int) sum.getValue() || readInt() != (int) inflater.getBytesWritten()) {
      throw new ZipException("gzip: what was compressed had another sum or length");
    }
    ended = !hasNextMember();
    if (!ended) {
      readHeader();
    }
  }

  /**
   * Returns whether another member follows; the zeros with which tapes and disks are filled up are none.
   */
  private boolean hasNextMember() throws IOException {
    while (begin < end || hasMore()) {
      if (buffer[begin] != 0) {
        return true;
      }
      begin++;
    }
    return false;
  }

  /** Reads the header of a member, which follows it. */
  private void readHeader() throws IOException {
    if (readByte() != FIRST_OF_MAGIC || readByte() != SECOND_OF_MAGIC || readByte() != DEFLATED) {
      throw new ZipException("gzip: what follows has not been compressed by it");
    }
    int flags = readByte();
    if ((flags & RESERVED) != 0) {
      throw new ZipException("gzip: unknown flags " + flags);
    }
    skipBytes(TIME_LEVEL_AND_SYSTEM);
    if ((flags & HAS_EXTRA) != 0) {
      skipBytes(readByte() | (readByte() << 8));
    }
    if ((flags & HAS_NAME) != 0) {
      skipText();
    }
    if ((flags & HAS_COMMENT) != 0) {
      skipText();
    }
    if ((flags & HAS_HEADER_SUM) != 0) {
      skipBytes(2);
    }
    sum.reset();
    inflater.reset();
    inflater.setInput(buffer, begin, end - begin);
  }

  private int readInt() throws IOException {
    return readByte() | (readByte() << 8) | (readByte() << 16) | (readByte() << 24);
  }

  private int readByte() throws IOException {
    if (begin == end) {
      fill();
    }
    return buffer[begin++] & 0xff;
  }

  private void skipBytes(int count) throws IOException {
    for (int i = 0; i < count; i++) {
      readByte();
    }
  }

  /** Skips a text and the zero at its end. */
  private void skipText() throws IOException {
    while (readByte() != 0) {}
  }

  private void fill() throws IOException {
    if (!hasMore()) {
      throw new EOFException("ends in the middle: it is cut off");
    }
  }

  /** Reads more into the buffer, which has been used up; false at the end. */
  private boolean hasMore() throws IOException {
    begin = 0;
    end = Math.max(0, in.read(buffer));
    return end > 0;
  }

  @Override
  public void close() throws IOException {
    closed = true;
    inflater.end();
    in.close();
  }
}
