// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Reads examples from a file or a pipe, one line after the other; what is compressed by gzip is
 * decompressed. Text is UTF-8. Not for several threads at the same time.
 */
public final class ExampleReader implements AutoCloseable {
  private final String name;
  private final LineReader lines;
  private final LineParser parser;
  private final boolean skipsBadLines;
  private ExampleFormat format;

  /** Of the last line; null if it holds none. */
  private Example example;

  private long badLines;
  private String firstProblem;

  private ExampleReader(
      String name, InputStream in, ExampleFormat format, String labelPrefix, boolean skipBadLines) {
    this.name = name;
    this.lines = new LineReader(in);
    this.parser = new LineParser(labelPrefix);
    this.format = requireNonNull(format, "format");
    this.skipsBadLines = skipBadLines;
  }

  /** Opens a file in fastText's or the extreme classification format. */
  public static ExampleReader open(Path file) throws IOException {
    return open(file, ExampleFormat.AUTO, "__label__", false);
  }

  /**
   * Opens a file.
   *
   * @param labelPrefix what a word of a text begins with that is a label; not empty
   * @param skipBadLines whether lines that cannot be read are left out and counted; if not, the
   *     first one ends the reading
   * @throws IOException if the file cannot be read
   */
  public static ExampleReader open(
      Path file, ExampleFormat format, String labelPrefix, boolean skipBadLines)
      throws IOException {
    InputStream in = Files.newInputStream(file);
    try {
      return read(file.toString(), in, format, labelPrefix, skipBadLines);
    } catch (Throwable e) {
      in.close();
      throw e;
    }
  }

  /**
   * Reads what comes from a stream; see {@link #open(Path, ExampleFormat, String, boolean)}.
   *
   * @param name stands for it in messages
   */
  public static ExampleReader read(
      String name, InputStream in, ExampleFormat format, String labelPrefix, boolean skipBadLines)
      throws IOException {
    try {
      return new ExampleReader(name, decompressed(in), format, labelPrefix, skipBadLines);
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
  }

  private static InputStream decompressed(InputStream in) throws IOException {
    BufferedInputStream buffered = new BufferedInputStream(in, 1 << 16);
    buffered.mark(2);
    boolean zipped = GzipStream.isMagic(buffered.read(), buffered.read());
    buffered.reset();
    return zipped ? new GzipStream(buffered) : buffered;
  }

  /**
   * The next example; empty at the end. A line that is empty is an example without labels that has
   * nothing in it, so that answers can be told by their lines; before the first line that shows the
   * format, it is nothing.
   *
   * @throws InvalidInputException if a line cannot be read and is not to be skipped
   * @throws IOException if the file cannot be read
   */
  public Optional<Example> next() throws IOException {
    while (nextLine()) {
      if (example != null) {
        return Optional.of(example);
      }
    }
    return Optional.empty();
  }

  /**
   * Goes to the next line, whether it holds an example or not; false at the end.
   *
   * @throws InvalidInputException if it cannot be read and is not to be skipped
   * @throws IOException if the file cannot be read
   */
  public boolean nextLine() throws IOException {
    example = null;
    try {
      String line = lines.next();
      if (line == null) {
        return false;
      }
      example = exampleOrNull(line);
    } catch (LineParser.BadLineException e) {
      leaveOut(name + ": line " + lines.lines() + ": " + e.getMessage());
    } catch (IOException e) {
      throw new IOException(name + ": after line " + lines.lines() + ": " + e.getMessage(), e);
    }
    return true;
  }

  /** The example of the line that was read last; empty if it holds none, or was left out. */
  public Optional<Example> example() {
    return Optional.ofNullable(example);
  }

  /** The example of a line; null if it is a header, or empty before the format is known. */
  private Example exampleOrNull(String line) throws LineParser.BadLineException {
    if (format == ExampleFormat.AUTO) {
      if (line.isBlank()) {
        return null;
      }
      format = parser.formatOf(line);
    }
    if (format == ExampleFormat.TEXT) {
      return parser.text(line);
    }
    return lines.lines() == 1 && LineParser.isHeader(line) ? null : parser.sparse(line);
  }

  private void leaveOut(String problem) {
    if (!skipsBadLines) {
      throw new InvalidInputException(problem);
    }
    badLines++;
    firstProblem = firstProblem == null ? problem : firstProblem;
  }

  /** Whether a whole line follows that can be read without waiting, as it is in memory. */
  public boolean ready() {
    return lines.ready();
  }

  /**
   * All examples that follow. What would be an {@link IOException} is an {@link
   * UncheckedIOException}.
   */
  public Stream<Example> examples() {
    Iterator<Example> iterator =
        new Iterator<>() {
          private Optional<Example> next = Optional.empty();

          @Override
          public boolean hasNext() {
            try {
              next = next.isPresent() ? next : ExampleReader.this.next();
              return next.isPresent();
            } catch (IOException e) {
              throw new UncheckedIOException(e.getMessage(), e);
            }
          }

          @Override
          public Example next() {
            if (!hasNext()) {
              throw new NoSuchElementException();
            }
            Example example = next.get();
            next = Optional.empty();
            return example;
          }
        };
    return StreamSupport.stream(
        Spliterators.spliteratorUnknownSize(iterator, Spliterator.ORDERED | Spliterator.NONNULL),
        false);
  }

  /** How many lines were left out so far since they could not be read. */
  public long badLines() {
    return badLines;
  }

  /** What was wrong with the first line that was left out; empty if none was. */
  public Optional<String> firstProblem() {
    return Optional.ofNullable(firstProblem);
  }

  @Override
  public void close() throws IOException {
    lines.close();
  }
}
