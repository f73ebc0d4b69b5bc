// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Counts and hashes all bytes of a stream. */
final class HashedInput extends FilterInputStream {
  private final MessageDigest digest;
  private long bytes;

  HashedInput(InputStream in) {
    super(in);
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e); // every Java has this algorithm
    }
  }

  @Override
  public int read() throws IOException {
    int next = in.read();
    if (next >= 0) {
      digest.update((byte) next);
      bytes++;
    }
    return next;
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    int count = in.read(into, offset, length);
    if (count > 0) {
      digest.update(into, offset, count);
      bytes += count;
    }
    return count;
  }

  /** Reads what is skipped, since it is hashed. */
  @Override
  public long skip(long count) throws IOException {
    return readNBytes((int) Math.min(count, 1 << 16)).length;
  }

  /** Returns false, since what is read again would be hashed twice. */
  @Override
  public boolean markSupported() {
    return false;
  }

  /**
   * Reads what is left: a decompressor may end before the file does.
   *
   * @return the number of all bytes
   */
  long size() throws IOException {
    transferTo(OutputStream.nullOutputStream());
    return bytes;
  }

  /** Returns the SHA-256 of all bytes, after {@link #size()}; to be asked once. */
  String sha256() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
