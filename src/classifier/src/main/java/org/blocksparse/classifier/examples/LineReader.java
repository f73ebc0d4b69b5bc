// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Optional;
import org.blocksparse.classifier.examples.LineParser.BadLineException;

/**
 * Cuts a stream of UTF-8 into lines. A line ends with a line feed, and a carriage return before it
 * is not part of it; nor is a byte order mark at its beginning, since files of Windows are put
 * together. Bytes that are not UTF-8 become {@link LineParser#NOT_UTF_8}; see {@link #isMalformed}.
 */
final class LineReader implements AutoCloseable {
  /**
   * The maximum number of bytes of a line: a longer one means that the file holds something else.
   */
  static final int MOST_BYTES = 1 << 23;

  private static final int FIRST_BYTES = 1 << 18;
  private static final char BYTE_ORDER_MARK = '\uFEFF';

  /** {@link LineParser#NOT_UTF_8} in UTF-8. */
  private static final byte[] REPLACEMENT = {(byte) 0xEF, (byte) 0xBF, (byte) 0xBD};

  private final InputStream in;
  private byte[] buffer = new byte[FIRST_BYTES];
  private int begin;
  private int end;
  private boolean ended;
  private long lines;
  private boolean malformed;

  /** A line to return again; null if there is none. */
  private String unread;

  LineReader(InputStream in) {
    this.in = in;
  }

  /** Returns the number of lines read so far. */
  long lines() {
    return lines;
  }

  /** Returns whether the last line has bytes that are not UTF-8. */
  boolean isMalformed() {
    return malformed;
  }

  /** Returns whether the whole of the next line is in memory. */
  boolean ready() {
    return unread != null || lineFeed(begin) >= 0;
  }

  /**
   * Returns the next line; null at the end.
   *
   * @throws BadLineException if it has more than {@link #MOST_BYTES}, and the next one is the one
   *     after it
   * @throws IOException if it cannot be read, is {@linkplain ForeignInput of another kind}, or has
   *     carriage returns and no line feed at all: as one line, it would be left out whole
   */
  String next() throws IOException, BadLineException {
    if (unread != null) {
      String line = unread;
      unread = null;
      return line;
    }
    int at = begin;
    int feed;
    while ((feed = lineFeed(at)) < 0 && !ended) {
      if (length(end) > MOST_BYTES) {
        skipLine();
        throw tooLong();
      }
      int searched = end - begin;
      fill();
      at = begin + searched;
    }
    if (feed < 0 && begin == end) {
      return null;
    }
    if (lines == 0) {
      requireText();
    }
    int length = length(feed < 0 ? end : feed);
    if (length > MOST_BYTES) { // it came together with its end
      begin = feed + 1;
      throw tooLong();
    }
    String line = new String(buffer, begin, length, UTF_8);
    malformed = isMalformed(line, length);
    if (lines == 0 && feed < 0 && line.indexOf('\r') >= 0) {
      throw new IOException("lines end with carriage returns alone; expected line feeds");
    }
    lines++;
    begin = feed < 0 ? end : feed + 1;
    boolean isMarked = !line.isEmpty() && line.charAt(0) == BYTE_ORDER_MARK;
    return isMarked ? line.substring(1) : line;
  }

  /** Lets {@link #next} return the last line again. */
  void unread(String line) {
    unread = line;
  }

  /** Returns the number of bytes of a line that ends there, or so far. */
  private int length(int last) {
    boolean isReturn = last > begin && buffer[last - 1] == '\r';
    return last - begin - (isReturn ? 1 : 0);
  }

  private BadLineException tooLong() {
    lines++;
    return new BadLineException("has more than " + MOST_BYTES + " bytes");
  }

  /**
   * Returns whether a line has replacement characters that the decoder made. A replacement
   * character of the file is always the same three bytes, since the first of them continues
   * nothing.
   */
  private boolean isMalformed(String line, int length) {
    int replacements = 0;
    for (int at = -1; (at = line.indexOf(LineParser.NOT_UTF_8, at + 1)) >= 0; ) {
      replacements++;
    }
    for (int at = begin; replacements > 0 && at + 3 <= begin + length; at++) {
      replacements -= Arrays.equals(buffer, at, at + 3, REPLACEMENT, 0, 3) ? 1 : 0;
    }
    return replacements > 0;
  }

  private void requireText() throws IOException {
    Optional<ForeignInput> kind = ForeignInput.of(buffer, begin, end);
    if (kind.isPresent()) {
      throw new IOException(kind.get().problem());
    }
    Optional<Compression> compression = Compression.of(buffer, begin, end);
    if (compression.isPresent()) {
      throw new IOException(compression.get().problemOfTwice());
    }
  }

  private int lineFeed(int from) {
    for (int at = from; at < end; at++) {
      if (buffer[at] == '\n') {
        return at;
      }
    }
    return -1;
  }

  /** Reads more after what is there, which may move to the beginning. */
  private void fill() throws IOException {
    System.arraycopy(buffer, begin, buffer, 0, end - begin);
    end -= begin;
    begin = 0;
    if (end == buffer.length) {
      int most = MOST_BYTES + 2; // room for a carriage return and a line feed
      buffer = Arrays.copyOf(buffer, Math.min(2 * buffer.length, most));
    }
    int count = in.read(buffer, end, buffer.length - end);
    ended = count < 0;
    end += Math.max(0, count);
  }

  private void skipLine() throws IOException {
    begin = end;
    int feed = -1;
    while (feed < 0 && !ended) {
      begin = end;
      fill();
      feed = lineFeed(begin);
    }
    begin = feed < 0 ? end : feed + 1;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
