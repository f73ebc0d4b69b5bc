// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Thrown for a file that is damaged, hostile, or of another kind. Nothing is loaded, and no memory
 * is allocated beyond what the file proves to be needed.
 *
 * <p>A file that cannot be read, or an interrupt while it is read, is another {@link IOException}.
 */
public final class FileFormatException extends IOException {
  private static final long serialVersionUID = 1;

  private final String file;
  private final transient Path path;
  private final String part;
  private final String reason;

  /**
   * Creates an exception for a format that is built on files of this library.
   *
   * @param part the flawed part of the file, as {@link #part} returns it
   * @param reason why it is flawed; the message is {@code file: part: reason}
   */
  public FileFormatException(Path file, String part, String reason) {
    super(file + ": " + part + ": " + reason);
    this.file = file.toString();
    this.path = file;
    this.part = part;
    this.reason = reason;
  }

  /** Returns the file. */
  public Path file() {
    return path == null ? Path.of(file) : path; // null after serialization
  }

  /**
   * Returns the flawed part of the file: the name of a tensor, or {@code header}, {@code line 3}
   * and so on.
   */
  public String part() {
    return part;
  }

  /** Returns the reason of the flaw. */
  public String reason() {
    return reason;
  }
}
