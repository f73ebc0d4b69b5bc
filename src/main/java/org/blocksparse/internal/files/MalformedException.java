// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;

/**
 * A part of a file is not as it should be. The public API adds the file: it throws its own
 * exception with the same part and reason.
 */
public final class MalformedException extends IOException {
  private static final long serialVersionUID = 1;

  /** The length of a text from a file that may appear in a log. */
  private static final int LONGEST_TEXT = 100;

  private static final int LONGEST_REASON = 500;

  private final String part;
  private final String reason;

  public MalformedException(String part, String reason) {
    this(part, reason, null);
  }

  public MalformedException(String part, String reason, Throwable cause) {
    super(shorten(part, LONGEST_TEXT) + ": " + shorten(reason, LONGEST_REASON), cause);
    this.part = shorten(part, LONGEST_TEXT);
    this.reason = shorten(reason, LONGEST_REASON);
  }

  /** Returns a text of the file for a reason: its beginning, if it is long. */
  public static String excerpt(String text) {
    return shorten(text, LONGEST_TEXT);
  }

  /** Returns the exception for a part whose tensors have a prefix in the file. */
  MalformedException under(String prefix) {
    return switch (part) {
      case "file" -> this;
      case SafeTensorsHeader.METADATA ->
          new MalformedException(part, "of " + prefix + ": " + reason, this);
      default -> new MalformedException(prefix + part, reason, this);
    };
  }

  private static String shorten(String text, int longest) {
    return text == null || text.length() <= longest ? text : text.substring(0, longest) + "...";
  }

  /** Returns the name of a tensor, or {@code header}, {@code line 3} and so on. */
  public String part() {
    return part;
  }

  /** Returns the reason: the flaw of the part. */
  public String reason() {
    return reason;
  }
}
