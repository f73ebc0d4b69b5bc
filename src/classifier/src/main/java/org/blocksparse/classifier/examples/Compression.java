// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The compressions of examples, detected by their first bytes. */
enum Compression {
  GZIP("gzip", "\\x1F\\x8B", "zcat", ""),
  /** The second pattern is a skippable frame, with which parallel compressors begin. */
  ZSTD(
      "zstd",
      "\\x28\\xB5\\x2F\\xFD|[\\x50-\\x5F]\\x2A\\x4D\\x18",
      "zstdcat",
      " and com.github.luben:zstd-jni"),
  XZ("xz", "\\xFD7zXZ\\x00", "xzcat", " and org.tukaani:xz"),
  /** Matches a block, or the end of an empty file. */
  BZIP2("bzip2", "BZh[1-9](1AY&SY|\\x17rE8P\\x90)", "bzcat", "");

  /** The bytes of the longest pattern. */
  static final int MOST_BYTES = 10;

  private final String program;
  private final Pattern beginning;
  private final String command;
  private final String library;

  /**
   * Creates a kind.
   *
   * @param beginning of its bytes, each as the character of its number
   * @param command what makes a text of it
   * @param library what it needs besides Commons Compress, for a message
   */
  Compression(String program, String beginning, String command, String library) {
    this.program = program;
    this.beginning = Pattern.compile(beginning);
    this.command = command;
    this.library = library;
  }

  /**
   * Returns the compression at the beginning of a stream. Takes no more bytes out of it than needed to
   * know: one who has sent an empty line may send the next one after the answer.
   *
   * @param in a stream that can be reset by {@link #MOST_BYTES}; it is where it was
   */
  static Optional<Compression> ofNext(InputStream in) throws IOException {
    in.mark(MOST_BYTES);
    StringBuilder first = new StringBuilder();
    Optional<Compression> found = Optional.empty();
    boolean isOpen = true;
    while (found.isEmpty() && isOpen) {
      int next = in.read();
      first.append((char) next);
      found = of(first);
      isOpen = next >= 0 && Arrays.stream(values()).anyMatch(kind -> kind.mayGoOn(first));
    }
    in.reset();
    return found;
  }

  /** Returns the compression that begins with the bytes from begin to end; empty if none does. */
  static Optional<Compression> of(byte[] bytes, int begin, int end) {
    return of(new String(bytes, begin, Math.min(MOST_BYTES, end - begin), ISO_8859_1));
  }

  private static Optional<Compression> of(CharSequence first) {
    return Arrays.stream(values())
        .filter(kind -> kind.beginning.matcher(first).lookingAt())
        .findFirst();
  }

  private boolean mayGoOn(CharSequence first) {
    Matcher matcher = beginning.matcher(first);
    return !matcher.lookingAt() && matcher.hitEnd();
  }

  /**
   * Returns the decompressed bytes.
   *
   * @param in begins with the magic number; it is closed with the result
   * @throws IOException if it is damaged, needs too much memory, or a library is missing
   */
  InputStream decompressed(InputStream in) throws IOException {
    if (this == GZIP) {
      return new GzipStream(in);
    }
    try {
      return new DecompressedStream(this, in);
    } catch (LinkageError e) {
      throw new IOException(
          "is compressed by "
              + program
              + ", which needs org.apache.commons:commons-compress"
              + library
              + " on the class path (not there: "
              + e.getMessage()
              + "); or give it as <("
              + command
              + " FILE)",
          e);
    }
  }

  /** Returns the message for examples that still begin so after decompression. */
  String problemOfTwice() {
    return "is compressed by "
        + program
        + ", and once more; expected text in UTF-8, as <("
        + command
        + " FILE) gives after the first";
  }

  @Override
  public String toString() {
    return program;
  }
}
