// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.classifier.examples.LineParser.BadLineException;

/**
 * Reads texts of items, such as titles or attributes: lines of {@code item text}. Empty lines are
 * left out, and so are items without a text. Files may be compressed, as for {@link ExampleReader}.
 */
public final class ItemTexts {
  private ItemTexts() {}

  /**
   * Reads all texts of a file, or of a pipe that has a name.
   *
   * @throws InvalidInputException if a line is not UTF-8, or an item has two; the message has the
   *     number of the line
   * @throws IOException if the file cannot be read
   */
  public static Map<String, String> read(Path file) throws IOException {
    try (InputStream in = ExampleReader.stream(file)) {
      return read(file.toString(), in);
    }
  }

  /**
   * Reads all texts of a stream.
   *
   * @param name the name of the input in messages
   * @param in stays open
   * @throws InvalidInputException if a line is not UTF-8, or an item has two; the message has the
   *     number of the line
   * @throws IOException if the stream cannot be read
   */
  public static Map<String, String> read(String name, InputStream in) throws IOException {
    Map<String, String> texts = new LinkedHashMap<>();
    Map<String, Long> lineOf = new HashMap<>();
    LineReader lines;
    try {
      lines = new LineReader(ExampleReader.decompressed(in));
      for (String line; (line = next(name, lines)) != null; ) {
        String item = LineParser.words(line).stream().findFirst().orElse("");
        if (!item.isEmpty()) {
          Long before = lineOf.putIfAbsent(item, lines.lines());
          if (before != null) {
            throw new InvalidInputException(
                "%s:%d: expected one text of each item, but '%s' has one in line %d"
                    .formatted(name, lines.lines(), LineParser.shown(item), before));
          }
          String text = line.substring(line.indexOf(item) + item.length()).trim();
          if (!text.isEmpty()) {
            texts.put(item, text);
          }
        }
      }
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
    return texts;
  }

  /** Returns the next line; null at the end. */
  private static String next(String name, LineReader lines) throws IOException {
    try {
      String line = lines.next();
      if (lines.isMalformed()) {
        throw new BadLineException("is not UTF-8");
      }
      return line;
    } catch (BadLineException e) {
      throw new InvalidInputException(name + ":" + lines.lines() + ": " + e.getMessage());
    }
  }
}
