// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static java.util.Objects.requireNonNull;

import java.nio.file.Files;
import java.nio.file.Path;

/** Files that may be read. */
public final class RegularFile {
  private RegularFile() {}

  /**
   * Returns a file that can be read, or none at all, which opening it shows.
   *
   * @throws MalformedException if it is a folder, or a pipe, which would wait for its other end
   */
  public static Path require(Path file) throws MalformedException {
    if (Files.exists(requireNonNull(file, "file")) && !Files.isRegularFile(file)) {
      throw new MalformedException("file", "is not a regular file");
    }
    return file;
  }
}
