// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import org.apache.commons.compress.MemoryLimitException;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorInputStream;
import org.apache.commons.compress.compressors.zstandard.ZstdCompressorInputStream;

/**
 * Decompresses zstd, xz or bzip2, all parts one after the other, by Commons Compress. The class is
 * loaded on demand, since these libraries are optional.
 */
final class DecompressedStream extends FilterInputStream {
  /**
   * The memory limit, enough for {@code xz -9} with its 64 MB dictionary. The zstd library limits
   * itself to 128 MB of native memory; bzip2 takes some megabytes.
   */
  private static final int MOST_KILOBYTES_OF_XZ = 68 << 10;

  private final Compression kind;

  DecompressedStream(Compression kind, InputStream in) throws IOException {
    super(open(kind, in));
    this.kind = kind;
  }

  private static InputStream open(Compression kind, InputStream in) throws IOException {
    try {
      return switch (kind) {
        case ZSTD -> new ZstdCompressorInputStream(in);
        case XZ ->
            XZCompressorInputStream.builder()
                .setInputStream(in)
                .setDecompressConcatenated(true)
                .setMemoryLimitKiB(MOST_KILOBYTES_OF_XZ)
                .get();
        case BZIP2 -> new BZip2CompressorInputStream(in, true);
        case GZIP -> throw new IllegalArgumentException("kind: has its own stream");
      };
    } catch (IOException | IllegalStateException e) {
      throw readable(kind, e);
    }
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    try {
      return in.read(bytes, offset, length);
    } catch (IOException | IllegalStateException e) {
      throw readable(kind, e);
    }
  }

  private static IOException readable(Compression kind, Exception e) {
    boolean isTooLarge = e instanceof MemoryLimitException;
    return new IOException(
        kind
            + ": "
            + (isTooLarge ? "needs too much memory: " : "cannot be decompressed: ")
            + (e.getMessage() == null ? "is cut off, or garbage follows its end" : e.getMessage()),
        e);
  }
}
