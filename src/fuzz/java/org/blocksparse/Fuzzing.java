// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Reads a file of any bytes, or expects the one exception; either way no memory or file stays
 * behind.
 */
public final class Fuzzing {
  private static final Path FILE = temporary();

  private Fuzzing() {}

  /** Reads the file and closes what it has read. */
  public interface Reader {
    void read(Path file) throws IOException;
  }

  public static void readsOrRefuses(byte[] bytes, Reader... readers) throws IOException {
    Files.write(FILE, bytes);
    for (Reader reader : readers) {
      readOrRefuse(reader);
    }
  }

  /** Does the same for a part of that file, while it is open. */
  public static void readOrRefuse(Reader reader) throws IOException {
    if (kept(reader) != 0) { // a pool keeps some, once; a leak recurs
      long kept = kept(reader);
      require(kept == 0, kept + " bytes were kept");
    }
  }

  private static long kept(Reader reader) throws IOException {
    long before = FloatTensor.allocatedBytes();
    try {
      reader.read(FILE);
    } catch (FileFormatException refused) {
      require(refused.file().equals(FILE) && !refused.reason().isEmpty(), refused.toString());
    }
    return FloatTensor.allocatedBytes() - before;
  }

  public static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  private static Path temporary() {
    try {
      Path file = Files.createTempFile("fuzzed", "");
      file.toFile().deleteOnExit();
      return file;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
