// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.memory.MappedFile;

/**
 * The header of a GGUF file, read from its beginning on. Every length is checked against the rest
 * of the file before memory is allocated for it; messages name its part.
 */
final class GgufInput {
  /** The longest header; a vocabulary of a million words takes a tenth of it. */
  static final int LONGEST = 1 << 28;

  private static final int PIECE = 1 << 16;

  /** The file; null if all bytes are in the piece. */
  private final MappedFile file;

  private final long fileBytes;
  private final ByteBuffer piece;

  /** The end of the piece in the file. */
  private long pieceEnd;

  GgufInput(MappedFile file) {
    this.file = file;
    this.fileBytes = file.bytes();
    this.piece = ByteBuffer.allocate(PIECE).order(ByteOrder.LITTLE_ENDIAN).limit(0);
  }

  /** Reads bytes in memory. */
  GgufInput(byte[] bytes) {
    this.file = null;
    this.fileBytes = bytes.length;
    this.piece = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    this.pieceEnd = bytes.length;
  }

  /** Returns the position in the file of the next byte. */
  long position() {
    return pieceEnd - piece.remaining();
  }

  private ByteBuffer next(String part, int bytes) throws IOException {
    if (piece.remaining() < bytes) {
      long begin = position();
      requireLeft(part, bytes);
      pieceEnd = Math.min(fileBytes, begin + PIECE);
      piece.clear().limit((int) (pieceEnd - begin));
      fill(part, begin, piece);
      piece.flip();
    }
    return piece;
  }

  private void fill(String part, long position, ByteBuffer into) throws IOException {
    try {
      file.read(position, into);
    } catch (EOFException e) {
      throw new MalformedException(part, "is cut off: the file has shrunk", e);
    }
  }

  private void requireLeft(String part, long bytes) throws MalformedException {
    if (bytes > fileBytes - position()) {
      throw new MalformedException(part, "is cut off: the file ends at byte " + fileBytes);
    }
    if (position() + bytes > LONGEST) {
      throw new MalformedException(part, "is in a header of more than " + LONGEST + " bytes");
    }
  }

  byte readByte(String part) throws IOException {
    return next(part, 1).get();
  }

  int readInt(String part) throws IOException {
    return next(part, Integer.BYTES).getInt();
  }

  long readLong(String part) throws IOException {
    return next(part, Long.BYTES).getLong();
  }

  /**
   * Returns a number of things of a size each, for which there is room in the file and in an array.
   *
   * @param what the things are, for messages
   */
  int readCount(String part, String what, int leastBytes) throws IOException {
    long count = readLong(part);
    long left = Math.min(fileBytes, LONGEST) - position();
    if (count < 0 || count > left / leastBytes) {
      throw new MalformedException(
          part,
          Long.toUnsignedString(count)
              + " "
              + what
              + " do not fit into the "
              + left
              + " bytes left");
    }
    return (int) count;
  }

  /** Returns the length of a string, which is read next. */
  int readLength(String part) throws IOException {
    return readCount(part, "bytes of text", 1);
  }

  byte[] readBytes(String part, int count) throws IOException {
    long begin = position();
    skip(part, count);
    return bytesSince(part, begin);
  }

  void skip(String part, long bytes) throws IOException {
    requireLeft(part, bytes);
    if (bytes <= piece.remaining()) {
      piece.position(piece.position() + (int) bytes);
    } else {
      pieceEnd = position() + bytes;
      piece.limit(0);
    }
  }

  /** Returns the bytes read since a position. */
  byte[] bytesSince(String part, long begin) throws IOException {
    byte[] bytes = new byte[(int) (position() - begin)];
    fill(part, begin, ByteBuffer.wrap(bytes));
    return bytes;
  }
}
