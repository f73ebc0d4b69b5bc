// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Reads parts of a mapped file into memory past the page cache, if the system supports that. The
 * page cache would hold a second copy, and would read ahead more than is needed. Any number of
 * threads may read at the same time.
 */
public final class DirectFile implements AutoCloseable {
  /** The largest number of bytes that one read may ask for. */
  public static final int MAX_BYTES = 1 << 20;

  /** The aligned buffer of each thread, which direct reads require. */
  private static final ThreadLocal<ByteBuffer> BUFFER = new ThreadLocal<>();

  private final FileChannel channel;

  /** The alignment of positions and lengths of reads, in bytes. */
  private final int alignment;

  private DirectFile(FileChannel channel, int alignment) {
    this.channel = channel;
    this.alignment = alignment;
  }

  /**
   * Opens the file of a mapping a second time.
   *
   * @throws IOException if its name belongs to another file by now, or it cannot be opened
   */
  public static DirectFile open(MappedFile mapping) throws IOException {
    DirectFile opened = direct(mapping.file());
    try {
      if (mapping.hasItsName()) {
        return opened;
      }
      throw new IOException(mapping.file() + ": has been replaced while it was loaded; try again");
    } catch (Throwable e) {
      opened.close();
      throw e;
    }
  }

  private static DirectFile direct(Path file) throws IOException {
    try {
      long blockBytes = Files.getFileStore(file).getBlockSize();
      if (isAlignment(blockBytes)) {
        return new DirectFile(
            FileChannel.open(file, StandardOpenOption.READ, ExtendedOpenOption.DIRECT),
            (int) blockBytes);
      }
    } catch (IOException | UnsupportedOperationException | NoClassDefFoundError e) {
      // The file system or the JVM has no direct reads.
    }
    return new DirectFile(FileChannel.open(file), 1);
  }

  /**
   * Returns whether buffers can be aligned to blocks of this size. File systems report any number,
   * even 0.
   */
  static boolean isAlignment(long blockBytes) {
    return Long.bitCount(blockBytes) == 1 && blockBytes > 0 && blockBytes <= MAX_BYTES;
  }

  /**
   * Reads {@code length} bytes, at most {@link #MAX_BYTES}, to byte {@code at} of the memory and
   * on.
   *
   * @throws EOFException if the file ends before; nothing has been written
   */
  public void read(long position, int length, Storage to, long at) throws IOException {
    int before = (int) (position % alignment);
    ByteBuffer buffer = buffer().limit(roundedUp(before + length));
    fill(channel::read, position - before, alignment, before + length, buffer);
    to.putBytes(at, buffer.limit(before + length).position(before));
  }

  /** Reads as {@link FileChannel#read(ByteBuffer, long)} does. */
  @FunctionalInterface
  interface PositionalRead {
    int read(ByteBuffer to, long position) throws IOException;
  }

  /**
   * Reads at least {@code length} bytes. A read may return less than was asked for, at any byte;
   * the next one then begins at the last aligned one.
   *
   * @param begin the position of the first byte of the buffer, aligned
   * @throws EOFException if the file ends before
   */
  static void fill(PositionalRead file, long begin, int alignment, int length, ByteBuffer buffer)
      throws IOException {
    while (buffer.position() < length) {
      int filled = buffer.position();
      buffer.position(filled - filled % alignment);
      if (file.read(buffer, begin + buffer.position()) < 0 || buffer.position() <= filled) {
        throw new EOFException("the file ends at " + (begin + filled));
      }
    }
  }

  private ByteBuffer buffer() {
    ByteBuffer buffer = BUFFER.get();
    int wanted = roundedUp(alignment + MAX_BYTES);
    if (buffer == null || buffer.alignmentOffset(0, alignment) != 0 || buffer.capacity() < wanted) {
      buffer = ByteBuffer.allocateDirect(wanted + alignment).alignedSlice(alignment);
      BUFFER.set(buffer);
    }
    return buffer.clear();
  }

  private int roundedUp(int bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
