// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Tells before a command works that it could not write what it makes. */
final class WritableFile {
  private WritableFile() {}

  /**
   * A file can be written, or replaced, at this place.
   *
   * @param argument of the command, for the message
   */
  static void require(String argument, Path file) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || folder == null || !Files.isWritable(folder)) {
      throw new IOException(argument + ": cannot write " + file);
    }
  }
}
