// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.internal.format.MalformedException;

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
   * An exception for a format that is built on files of this library.
   *
   * @param part the flawed part of the file, as {@link #part} returns it
   * @param reason why it is flawed; the message is {@code file: part: reason}
   */
  public FileFormatException(Path file, String part, String reason) {
    this(file, part, reason, null);
  }

  FileFormatException(Path file, String part, String reason, Throwable cause) {
    super(file + ": " + part + ": " + reason, cause);
    this.file = file.toString();
    this.path = file;
    this.part = part;
    this.reason = reason;
  }

  /** Of a file that was mapped, and is not any more what it was. */
  static FileFormatException shrunk(Path file) {
    return new FileFormatException(
        file,
        "file",
        "has shrunk or cannot be read any more since it was mapped; replace by rename, then"
            + " reload");
  }

  /** Reads a file. */
  interface Reading<T> {
    T read() throws IOException;
  }

  /** Adds the file that was asked for to the exceptions of a reader. */
  static <T> T of(Path file, Reading<T> reading) throws IOException {
    try {
      return reading.read();
    } catch (MalformedException e) {
      throw new FileFormatException(file, e.part(), e.reason(), e);
    }
  }

  /** The file. */
  public Path file() {
    return path == null ? Path.of(file) : path; // null after serialization
  }

  /**
   * The flawed part of the file: the name of a tensor, or {@code header}, {@code line 3} and so on.
   */
  public String part() {
    return part;
  }

  /** Why. */
  public String reason() {
    return reason;
  }
}
