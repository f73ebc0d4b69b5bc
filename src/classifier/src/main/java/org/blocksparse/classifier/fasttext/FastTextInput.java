// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;

/**
 * Reads the fields of a fastText file in order, little-endian. Each read names its field, and needs
 * no memory before the file has shown that it has as many bytes.
 */
final class FastTextInput implements Closeable {
  private static final int BUFFER = 1 << 16;

  private final Path file;
  private final SeekableByteChannel channel;
  private final long size;
  private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN);

  /** Bytes of the file that are not in the buffer yet. */
  private long unread;

  FastTextInput(Path file) throws IOException {
    this.file = file;
    this.channel = Files.newByteChannel(file);
    this.size = channel.size();
    this.unread = size;
    buffer.limit(0);
  }

  FileFormatException wrong(String field, String reason) {
    return new FileFormatException(file, field, reason);
  }

  /** Returns the bytes of the file. */
  long size() {
    return size;
  }

  /** Returns the bytes that are not read yet. */
  long remaining() {
    return buffer.remaining() + unread;
  }

  /** Requires that the file has {@code count} times these bytes left for a field. */
  void require(String field, long count, long bytesOfEach) throws FileFormatException {
    if (count < 0) {
      throw wrong(field, "expected a size of at least 0 but was " + count);
    }
    if (count > remaining() / bytesOfEach) {
      throw wrong(
          field,
          "has " + count + " times " + bytesOfEach + " bytes, more than the file's " + remaining());
    }
  }

  /** Fills the buffer with {@code bytes} bytes of a field. */
  private void fill(String field, int bytes) throws IOException {
    if (buffer.remaining() >= bytes) {
      return;
    }
    require(field, 1, bytes);
    buffer.compact();
    while (buffer.position() < bytes) {
      int count = channel.read(buffer);
      if (count < 0) {
        throw wrong(field, "the file became shorter while it was read");
      }
      unread -= count;
    }
    buffer.flip();
  }

  int int32(String field) throws IOException {
    fill(field, Integer.BYTES);
    return buffer.getInt();
  }

  long int64(String field) throws IOException {
    fill(field, Long.BYTES);
    return buffer.getLong();
  }

  byte int8(String field) throws IOException {
    fill(field, 1);
    return buffer.get();
  }

  boolean bool(String field) throws IOException {
    byte value = int8(field);
    if (value != 0 && value != 1) {
      throw wrong(field, "expected 0 or 1 but was " + value);
    }
    return value == 1;
  }

  /** Returns a number in [least, most]. */
  int int32(String field, int least, int most) throws IOException {
    int value = int32(field);
    if (value < least || value > most) {
      throw wrong(field, "expected a number in [" + least + ", " + most + "] but was " + value);
    }
    return value;
  }

  /** Appends the bytes before the next zero byte, and skips that. */
  void string(String field, ByteArrayOutputStream to) throws IOException {
    for (byte next = int8(field); next != 0; next = int8(field)) {
      to.write(next);
    }
  }

  /** Reads bytes; the caller has required them. */
  byte[] bytes(String field, int count) throws IOException {
    byte[] bytes = new byte[count];
    for (int at = 0; at < count; ) {
      fill(field, 1);
      int part = Math.min(count - at, buffer.remaining());
      buffer.get(bytes, at, part);
      at += part;
    }
    return bytes;
  }

  /**
   * Reads floats; the caller has required them.
   *
   * @throws FileFormatException also if one is not finite
   */
  void floats(String field, float[] to, int begin, int count) throws IOException {
    for (int at = begin; at < begin + count; ) {
      fill(field, Float.BYTES);
      int part = Math.min(begin + count - at, buffer.remaining() / Float.BYTES);
      buffer.asFloatBuffer().get(to, at, part);
      buffer.position(buffer.position() + part * Float.BYTES);
      for (int end = at + part; at < end; at++) {
        if (!Float.isFinite(to[at])) {
          throw wrong(field, "has a number that is not finite: " + to[at]);
        }
      }
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
