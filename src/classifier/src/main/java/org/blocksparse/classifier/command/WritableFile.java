// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;

/** Checks that an output can be written, and overwrites no input, before a command works. */
final class WritableFile {
  private WritableFile() {}

  /**
   * Requires that a file can be written, or replaced, at this place.
   *
   * @param argument the argument of the command, for the message
   * @param others the other files that are read or written, which it must not replace
   */
  static void require(String argument, Path file, List<Path> others) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null || Files.isDirectory(file)) {
      throw new IOException(argument + ": cannot write " + file + ": is a folder");
    }
    if (!Files.isDirectory(folder)) {
      throw new IOException(argument + ": cannot write " + file + ": its folder is not there");
    }
    if (!Files.isWritable(folder)) {
      throw new IOException(argument + ": cannot write " + file + ": no permission for its folder");
    }
    if (!isNewOrRegular(argument, file)) {
      throw new IOException(argument + ": " + file + " is not a regular file");
    }
    for (Path other : others) {
      if (isSame(file, other)) {
        throw new IOException(argument + ": " + file + " is the same file as " + other);
      }
    }
  }

  private static boolean isNewOrRegular(String argument, Path file) throws IOException {
    try {
      return Files.readAttributes(file, BasicFileAttributes.class).isRegularFile();
    } catch (NoSuchFileException e) {
      return true;
    } catch (FileSystemException e) { // a name that is too long, for example
      String reason = e.getReason() == null ? "" : ": " + e.getReason();
      throw new IOException(argument + ": cannot write " + file + reason, e);
    }
  }

  private static boolean isSame(Path one, Path other) throws IOException {
    boolean areThere = Files.exists(one) && Files.exists(other);
    return areThere
        ? Files.isSameFile(one, other)
        : one.toAbsolutePath().normalize().equals(other.toAbsolutePath().normalize());
  }
}
