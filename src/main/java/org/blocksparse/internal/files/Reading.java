// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;

/** Reads a file. */
@FunctionalInterface
public interface Reading<T> {
  T read() throws IOException;

  /** Adds the file that was asked for to the exceptions of a reader. */
  static <T> T of(Path file, Reading<T> reading) throws IOException {
    try {
      return reading.read();
    } catch (MalformedException e) {
      FileFormatException named = new FileFormatException(file, e.part(), e.reason());
      named.initCause(e);
      throw named;
    }
  }

  /** Returns the exception for a file that is shorter than when it was mapped. */
  static FileFormatException shrunk(Path file) {
    return new FileFormatException(
        file,
        "file",
        "has shrunk or cannot be read any more since it was mapped; replace by rename, then"
            + " reload");
  }
}
