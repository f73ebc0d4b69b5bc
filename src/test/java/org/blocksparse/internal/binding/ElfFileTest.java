// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A library that is cut short is seen, however its class loader hands it out. */
final class ElfFileTest {
  /** A header, and one segment that ends with the file. */
  private static byte[] library(int bytes) {
    ByteBuffer file = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    file.putInt(0, 0x464C457F).putShort(4, (short) 0x0102);
    file.putLong(32, 64).putShort(54, (short) 56).putShort(56, (short) 1);
    file.putInt(64, 1).putLong(64 + 8, 0).putLong(64 + 32, bytes);
    return file.array();
  }

  /** As of a class loader with jars in memory; {@code told} is the length it reports, or -1. */
  private static URL url(byte[] content, long told) throws IOException {
    return new URL(
        null,
        "memory:library",
        new URLStreamHandler() {
          @Override
          protected URLConnection openConnection(URL url) {
            return new URLConnection(url) {
              @Override
              public void connect() {}

              @Override
              public InputStream getInputStream() {
                return new ByteArrayInputStream(content);
              }

              @Override
              public long getContentLengthLong() {
                return told;
              }
            };
          }
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {200, 4096, 4097, 100_000})
  void lengthIsCountedWhereItIsNotTold(int bytes) throws IOException {
    byte[] library = library(bytes);
    byte[] cut = Arrays.copyOf(library, bytes - 1);
    assertFalse(ElfFile.isTruncated(url(library, -1)));
    assertFalse(ElfFile.isTruncated(url(library, bytes)));
    assertTrue(ElfFile.isTruncated(url(cut, -1)));
    assertTrue(ElfFile.isTruncated(url(cut, bytes - 1)));
  }
}
