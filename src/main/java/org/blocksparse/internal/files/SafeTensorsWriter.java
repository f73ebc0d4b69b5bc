// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import java.util.Map;
import org.blocksparse.Progress;

/**
 * Writes a safetensors file. The layout comes first; then come the bytes of all tensors in its
 * order, or where {@link #seek} says, in blocks of any size, so that what is larger than memory can
 * be written as it is made.
 *
 * <p>One tensor begins at a multiple of 64 bytes, so that it can be used where it lies: the first,
 * unless the layout has another. The format allows no gaps, so that nothing else can be aligned.
 */
public final class SafeTensorsWriter {
  private static final int ALIGNMENT = 64;

  private final SafeTensorsLayout layout;
  private final byte[] header;
  private final Progress progress;
  private final long total;
  private long written;

  /**
   * Creates a writer of one file.
   *
   * @throws IllegalArgumentException if that many tensors, or that much metadata, could not be read
   *     again
   */
  public SafeTensorsWriter(
      SafeTensorsLayout layout, Map<String, String> metadata, Progress progress)
      throws IOException {
    this.layout = layout;
    this.header = SafeTensorsHeader.bytes(layout, metadata, ALIGNMENT);
    this.progress = progress;
    this.total = header.length + layout.dataBytes();
  }

  /**
   * Returns whether a string can be among the metadata: it holds no half of a pair of surrogates.
   */
  public static boolean isText(String text) {
    return SafeTensorsHeader.isText(text);
  }

  /** Returns whether a string can be the name of a tensor, so that the file can be read again. */
  public static boolean isName(String text) {
    return SafeTensorsHeader.isName(text);
  }

  /**
   * Moves to one of the bytes of a tensor, for callers who have tensors in another order than the
   * file, or in pieces; every byte is written once.
   *
   * @throws IllegalArgumentException if the layout has no such tensor
   */
  public void seek(SeekableByteChannel channel, String name, long begin) throws IOException {
    channel.position(position(name) + begin);
  }

  private long position(String name) {
    for (TensorEntry entry : layout.entries()) {
      if (entry.name().equals(name)) {
        return header.length + entry.begin();
      }
    }
    throw new IllegalArgumentException("no tensor " + name);
  }

  /** Writes what comes before the tensors. */
  public void begin(WritableByteChannel channel) throws IOException {
    append(channel, ByteBuffer.wrap(header));
  }

  /**
   * Writes the next bytes, little-endian: of the current tensor, or of several; and returns how
   * many there are now.
   *
   * @throws IllegalStateException if there are more than the layout has
   */
  public void write(WritableByteChannel channel, ByteBuffer block) throws IOException {
    if (written < header.length || block.remaining() > total - written) {
      throw new IllegalStateException(
          written + " bytes are written and " + block.remaining() + " to come, of " + total);
    }
    append(channel, block);
    progress.update(written, total);
  }

  /**
   * Requires that nothing is missing.
   *
   * @throws IllegalStateException if it is
   */
  public void end() {
    if (written != total) {
      throw new IllegalStateException(written + " bytes are written of " + total);
    }
  }

  /** Writes all tensors of the layout, which are these. */
  public void writeAll(WritableByteChannel channel, List<TensorSource> tensors) throws IOException {
    begin(channel);
    ByteBuffer buffer = TensorSource.buffer();
    for (TensorSource tensor : tensors) {
      tensor.forEachPiece(buffer, bytes -> write(channel, bytes));
    }
    end();
  }

  private void append(WritableByteChannel channel, ByteBuffer block) throws IOException {
    written += block.remaining();
    while (block.hasRemaining()) {
      channel.write(block);
    }
  }
}
