// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.blocksparse.internal.files.AtomicFile;

/** Writes a small file as all writers do; a main class of JVMs of {@code SavingTest}. */
public final class SaveProgram {
  /** The content of the file. */
  public static final String TEXT = "saved\n";

  private SaveProgram() {}

  public static void main(String[] args) throws IOException {
    save(Path.of(args[0]));
  }

  /** Writes the file. */
  public static void save(Path file) throws IOException {
    AtomicFile.write(
        file, channel -> channel.write(ByteBuffer.wrap(TEXT.getBytes(StandardCharsets.UTF_8))));
  }
}
