// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The name of a file in the system's encoding, in memory of the native library. */
public final class NativePath implements AutoCloseable {
  private final long address;
  private final int bytes;

  private NativePath(long address, int bytes) {
    this.address = address;
    this.bytes = bytes;
  }

  /**
   * Returns the encoding in which the JDK hands names of files to the system; UTF-8 for ours on
   * Windows.
   */
  public static Charset encoding() {
    boolean windows = System.getProperty("os.name").startsWith("Windows");
    String encoding = System.getProperty("sun.jnu.encoding");
    return windows || encoding == null ? StandardCharsets.UTF_8 : Charset.forName(encoding);
  }

  /**
   * Returns the absolute name of a file; null if it cannot be written in the encoding.
   *
   * @throws OutOfMemoryError if there is no memory for the name
   */
  public static NativePath ofOrNull(Path file) {
    String name = file.toAbsolutePath().toString();
    byte[] encoded = name.getBytes(encoding());
    if (!new String(encoded, encoding()).equals(name)) {
      return null;
    }
    int bytes = encoded.length + 1;
    long address = NativeMemory.allocate(bytes);
    if (address == 0) {
      throw new OutOfMemoryError("cannot allocate " + bytes + " bytes for a file's name");
    }
    NativePath path = new NativePath(address, bytes);
    NativeMemory.buffer(address, encoded.length).put(encoded); // zeroed before, so it ends with 0
    return path;
  }

  /**
   * Maps this file into memory. Returns 0 if the system refuses; see {@code blocksparse_map}.
   * {@link NativeMemory#unmap} ends it.
   */
  public long map(long fileBytes, boolean copyOnWrite) {
    return Blocksparse.blocksparse_map(address, fileBytes, copyOnWrite ? 1 : 0);
  }

  @Override
  public void close() {
    NativeMemory.free(address, bytes);
  }
}
