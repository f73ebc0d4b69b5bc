// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Queue;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Reads examples from a file or a pipe, one after the other. Files of gzip, zstd, xz or bzip2 are
 * decompressed; all but gzip need libraries that are optional: Commons Compress, and zstd-jni or XZ
 * for Java. Text is UTF-8. Not for several threads at the same time.
 */
public final class ExampleReader implements AutoCloseable {
  /** The default prefix of words of a text that are labels. */
  public static final String DEFAULT_LABEL_PREFIX = "__label__";

  /**
   * The maximum number of lines, and characters in them, that are searched for a line that reveals
   * the format.
   */
  private static final int MOST_LINES_AHEAD = 1000;

  /** The maximum number of characters: few beside the longest line, which may come last. */
  private static final int MOST_CHARACTERS_AHEAD = 1 << 20;

  private static final String SKIPPING = "skipBadLines leaves it out";

  private static final String TEXT_REMEDY =
      "ExampleColumns.withText names another one, ExampleFormat.TEXT reads lines without columns";
  private static final String LABEL_REMEDY = "ExampleColumns.withLabel names another one";

  private final String name;
  private final LineReader lines;
  private LineParser parser;
  private final boolean skipsBadLines;
  private ExampleFormat format;
  private ExampleColumns columns = ExampleColumns.defaults();

  /** The reader of records; null before the first one, and for formats of lines. */
  private RecordReader records;

  private boolean hasLabels = true;

  /** The format that a first line without a label resembles; null if it resembles a text. */
  private RecordFormat similarFormat;

  /** The end of messages about invalid lines if the format is uncertain. */
  private String doubt = "";

  /** Lines read to detect the format, and not returned yet. */
  private final Queue<Line> ahead = new ArrayDeque<>();

  /** The example of the last line; null if it has none. */
  private Example example;

  private OptionalLong examplesOfHeader = OptionalLong.empty();

  /** A prefix of labels similar to the expected one; null if none was seen. */
  private String similarLabelPrefix;

  private long line;
  private long linesNotBlank;
  private boolean ended;
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

  /**
   * A line by its number.
   *
   * @param text null: it cannot be read
   * @param malformed whether it has bytes that are not UTF-8
   * @param problem why it cannot be read
   */
  private record Line(
      long number, String text, boolean malformed, LineParser.BadLineException problem) {}

  /** Opens a file in the {@linkplain ExampleFormat#AUTO format} of its extension or lines. */
  public static ExampleReader open(Path file) throws IOException {
    return open(file, ExampleFormat.AUTO, DEFAULT_LABEL_PREFIX, false);
  }

  /**
   * Opens a file, or a pipe that has a name.
   *
   * @param labelPrefix the prefix of words that are labels; not empty
   * @param skipBadLines whether lines that cannot be read are skipped and counted; if not, the
   *     first one throws
   * @throws IOException if the file cannot be read
   */
  public static ExampleReader open(
      Path file, ExampleFormat format, String labelPrefix, boolean skipBadLines)
      throws IOException {
    InputStream in = stream(file);
    try {
      ExampleFormat ofFile = requireNonNull(format, "format").forFile(file.toString());
      return read(file.toString(), in, ofFile, labelPrefix, skipBadLines);
    } catch (Throwable e) {
      in.close();
      throw e;
    }
  }

  /** Opens a file as a stream; a pipe not by a channel, which would ask for its position. */
  static InputStream stream(Path file) throws IOException {
    boolean isPipeOrDevice = Files.readAttributes(file, BasicFileAttributes.class).isOther();
    if (!isPipeOrDevice) {
      return Files.newInputStream(file);
    }
    if (!Files.isReadable(file)) { // otherwise the message would be that it does not exist
      throw new AccessDeniedException(file.toString());
    }
    return new FileInputStream(file.toFile());
  }

  /**
   * Reads a stream; see {@link #open(Path, ExampleFormat, String, boolean)}.
   *
   * @param name the name of the input in messages
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

  static InputStream decompressed(InputStream in) throws IOException {
    BufferedInputStream buffered = new BufferedInputStream(in, 1 << 16);
    Optional<Compression> kind = Compression.ofNext(buffered);
    return kind.isPresent() ? kind.get().decompressed(buffered) : buffered;
  }

  /**
   * Drops the labels of all examples that follow. An invalid label, such as one without a name,
   * then makes no line invalid.
   *
   * @return this
   */
  public ExampleReader withoutLabels() {
    parser = parser.withoutLabels();
    hasLabels = false;
    return this;
  }

  /**
   * Reads other columns of records, before the first one.
   *
   * @return this
   */
  public ExampleReader withColumns(ExampleColumns value) {
    columns = requireNonNull(value, "columns");
    return this;
  }

  /** Returns the format; {@link ExampleFormat#AUTO} before lines show it. */
  public ExampleFormat format() {
    return format;
  }

  /**
   * Returns the format of records that the first line looks like, where it is read as a text
   * without a label: the header of CSV, or an object of JSON. Empty if there is none.
   */
  public Optional<RecordFormat> similarFormat() {
    return Optional.ofNullable(similarFormat);
  }

  /**
   * Returns the next example; empty at the end. An empty line is an example without labels and
   * features, so that predictions match lines. If no line shows the format, empty lines are
   * skipped.
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
   * Moves to the next line, with or without an example. Returns false at the end.
   *
   * @throws InvalidInputException if it cannot be read and is not to be skipped
   * @throws IOException if the file cannot be read
   */
  public boolean nextLine() throws IOException {
    example = null;
    if (format.records().isPresent()) {
      return nextRecord(format.records().get());
    }
    if (format == ExampleFormat.AUTO && ahead.isEmpty()) {
      findFormat();
    }
    Line line = ahead.isEmpty() ? readOrNull() : ahead.remove();
    if (line == null) {
      ended = true;
      return false;
    }
    this.line = line.number;
    linesNotBlank += line.text == null || !line.text.isBlank() ? 1 : 0;
    try {
      Example read = exampleOrNull(line);
      if (line.malformed && read != null) {
        LineParser.requireUtf8(read.labels());
      }
      example = read;
    } catch (LineParser.BadLineException e) {
      leaveOut(line, e.getMessage());
    }
    return true;
  }

  private boolean nextRecord(RecordFormat as) throws IOException {
    if (records == null) {
      records =
          new RecordReader(
              lines,
              as,
              List.of(
                  new RecordReader.Field(List.of(columns.text()), TEXT_REMEDY, true),
                  new RecordReader.Field(
                      List.of(columns.label()),
                      LABEL_REMEDY,
                      hasLabels && as != RecordFormat.JSONL)));
    }
    try {
      List<List<String>> values = records.next();
      line = records.line();
      if (values == null) {
        ended = true;
        return false;
      }
      Example read = Example.ofText(text(values.get(0)), labels(values.get(1)));
      if (records.isMalformed()) {
        LineParser.requireUtf8(read.labels());
      }
      example = read;
    } catch (LineParser.BadLineException e) {
      leaveOut(name + ": line " + records.line() + ": " + e.getMessage(), "; " + SKIPPING);
    } catch (InvalidInputException e) {
      throw new InvalidInputException(name + ": line " + records.line() + ": " + e.getMessage());
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
    return true;
  }

  private String text(List<String> values) throws LineParser.BadLineException {
    if (values.size() > 1) {
      throw new LineParser.BadLineException(
          "'" + columns.text() + "': expected one text but was an array of " + values.size());
    }
    return values.isEmpty() ? "" : values.get(0);
  }

  private List<String> labels(List<String> values) throws LineParser.BadLineException {
    if (!hasLabels) {
      return List.of();
    }
    String separator = columns.labelSeparator();
    List<String> labels = new ArrayList<>();
    for (String value : values) {
      String[] names =
          separator.isEmpty() ? new String[] {value} : value.split(Pattern.quote(separator), -1);
      for (String name : names) {
        if (!name.isBlank()) {
          labels.add(name.strip());
        }
      }
    }
    return LineParser.requireWhole(LineParser.requireFew(labels));
  }

  /** Reads a line; null at the end. */
  private Line readOrNull() throws IOException {
    try {
      String text = lines.next();
      return text == null ? null : new Line(lines.lines(), text, lines.isMalformed(), null);
    } catch (LineParser.BadLineException e) {
      return new Line(lines.lines(), null, false, e);
    } catch (IOException e) {
      String place = lines.lines() == 0 ? "" : "after line " + lines.lines() + ": ";
      throw new IOException(name + ": " + place + e.getMessage(), e);
    }
  }

  /**
   * Reads until a line shows that these are texts, by the prefix of a label. Lines that look like
   * sparse features, or their header, only do where none of many shows that: a text that has no
   * label may look so, as {@code Genesis 1:1}.
   */
  private void findFormat() throws IOException {
    boolean looksSparse = false;
    long characters = 0;
    Line line;
    while (format == ExampleFormat.AUTO
        && ahead.size() < MOST_LINES_AHEAD
        && characters < MOST_CHARACTERS_AHEAD
        && (line = readOrNull()) != null) {
      ahead.add(line);
      if (line.problem == null) {
        format = parser.hasLabelOfText(line.text) ? ExampleFormat.TEXT : format;
        looksSparse = looksSparse || isHeader(line) || LineParser.hasFeaturesOnly(line.text);
        characters += line.text.length();
      }
    }
    if (looksSparse && format == ExampleFormat.AUTO) {
      format = ExampleFormat.SPARSE;
      doubt = "; ExampleFormat.TEXT if these are texts";
    }
  }

  private static boolean isHeader(Line line) {
    return line.number == 1 && LineParser.examplesOfHeader(line.text).isPresent();
  }

  /** Returns the example of the last line; empty if the line has none, or was skipped. */
  public Optional<Example> example() {
    return Optional.ofNullable(example);
  }

  /** Returns the example of a line; null if it is a header, or empty and of no format. */
  private Example exampleOrNull(Line line) throws LineParser.BadLineException {
    if (line.problem != null) {
      throw line.problem;
    }
    if (format == ExampleFormat.TEXT) {
      Example read = parser.text(line.text);
      if (read.labels().isEmpty()
          && similarLabelPrefix == null
          && line.number <= MOST_LINES_AHEAD) {
        similarFormat =
            line.number == 1 ? LineParser.similarRecords(line.text, columns) : similarFormat;
        similarLabelPrefix = parser.similarPrefix(line.text).orElse(null);
      }
      return read;
    }
    if (format == ExampleFormat.SPARSE) {
      if (isHeader(line)) {
        examplesOfHeader = LineParser.examplesOfHeader(line.text);
        return null;
      }
      return parser.sparse(line.text);
    }
    if (line.text.isBlank()) {
      return null;
    }
    throw parser.ofNoFormat(line.text);
  }

  private void leaveOut(Line line, String why) {
    boolean isDoubtful = line.problem == null && !doubt.isEmpty();
    String problem = name + ": line " + line.number + ": " + why + (isDoubtful ? doubt : "");
    // In an unknown format, all lines would be skipped.
    boolean helps = format != ExampleFormat.AUTO;
    leaveOut(problem, helps ? (isDoubtful ? ", else " : "; ") + SKIPPING : "");
  }

  private void leaveOut(String problem, String remedy) {
    if (!skipsBadLines) {
      throw new InvalidInputException(problem + remedy);
    }
    badLines++;
    firstProblem = firstProblem == null ? problem : firstProblem;
  }

  /**
   * Returns whether the next line is in memory, so that reading it does not wait. False until the
   * format is known, for which up to a thousand lines are read.
   */
  public boolean ready() {
    return !ahead.isEmpty() || (format != ExampleFormat.AUTO && lines.ready());
  }

  /**
   * Returns all examples that follow. An {@link IOException} is wrapped in an {@link
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

  /**
   * Returns a prefix that differs from the label prefix by few letters, in one of the first texts,
   * which has no label. If no example has a label, it probably is the right prefix. Empty if there
   * is none.
   */
  public Optional<String> similarLabelPrefix() {
    return Optional.ofNullable(similarLabelPrefix);
  }

  /** Returns the number of the line where the last example begins. */
  public long line() {
    return line;
  }

  /** Returns the number of lines so far that could not be read and were skipped. */
  public long badLines() {
    return badLines;
  }

  /** Returns the problem of the first line that was skipped; empty if none was. */
  public Optional<String> firstProblem() {
    return Optional.ofNullable(firstProblem);
  }

  /**
   * Returns the problem of the number of examples in the header of a sparse file; empty if the
   * number is right, if there is no header, or before the end. The number may include empty lines.
   */
  public Optional<String> problemOfHeader() {
    long examples = lines.lines() - 1;
    if (!ended
        || examplesOfHeader.isEmpty()
        || (examplesOfHeader.getAsLong() >= linesNotBlank - 1
            && examplesOfHeader.getAsLong() <= examples)) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "%s: line 1 states %,d examples, but %,d follow%s",
            name,
            examplesOfHeader.getAsLong(),
            examples,
            examples < examplesOfHeader.getAsLong() ? "; the file may be cut off" : ""));
  }

  @Override
  public void close() throws IOException {
    lines.close();
  }
}
