// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A file that does not hold what it should: it is damaged, hostile, or of another kind. Nothing was
 * made from it, and no memory was taken that the file did not show to be needed.
 */
public final class FileFormatException extends IOException {
  private static final long serialVersionUID = 1;

  private final String file;
  private final String part;
  private final String reason;

  FileFormatException(Path file, String part, String reason) {
    this(file, part, reason, null);
  }

  FileFormatException(Path file, String part, String reason, Throwable cause) {
    super(file + ": " + part + ": " + reason, cause);
    this.file = file.toString();
    this.part = part;
    this.reason = reason;
  }

  /**
   * A file that can be read, or none at all, which opening it tells.
   *
   * @throws FileFormatException if it is a folder, or a pipe, which would wait for its other end
   */
  static Path requireRegularFile(Path file) throws FileFormatException {
    if (Files.exists(requireNonNull(file, "file")) && !Files.isRegularFile(file)) {
      throw new FileFormatException(file, "file", "is not a regular file");
    }
    return file;
  }

  /** The file. */
  public Path file() {
    return Path.of(file);
  }

  /**
   * What of the file is wrong: the name of a tensor, or {@code header}, {@code line 3} and so on.
   */
  public String part() {
    return part;
  }

  /** Why. */
  public String reason() {
    return reason;
  }
}
