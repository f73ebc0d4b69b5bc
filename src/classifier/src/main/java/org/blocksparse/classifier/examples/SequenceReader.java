// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.blocksparse.classifier.examples.LineParser.BadLineException;

/**
 * Reads sequences of items. Names of users and items are any words; numbers have no meaning.
 * Spaces, tabs and other control characters of ASCII separate words; further white space of Unicode
 * is part of a name. Files may be compressed, as for {@link ExampleReader}.
 *
 * <p>Empty lines are left out. Events are sorted by time; those of equal times keep the order of
 * the file. Lines of one user are joined, in the order of the file.
 *
 * <p>Events are words without a header if the first line has three words, the last of them a time,
 * and all columns have the usual names. Else the first line is a header, or an object of JSON
 * Lines. It is one of TSV if it has a tab, of CSV if it has a comma or semicolon; else spaces separate
 * words. White space of ASCII around a field is no part of it. Times are numbers, or dates of ISO
 * 8601, which are seconds since 1970, in UTC unless they name an offset.
 *
 * <pre>{@code
 * List<Sequence> users = SequenceReader.of(SequenceFormat.SEQUENCES).read(Path.of("users.txt"));
 * }</pre>
 *
 * <p>Immutable.
 */
public final class SequenceReader {
  private static final long LONGEST_GAP = 99_999_999_999L;

  private final SequenceFormat format;
  private final EventColumns columns;
  private final double from;
  private final double until;

  /** The gap between sessions in seconds; infinite if a user has one sequence. */
  private final double sessionGap;

  private final boolean refusesEvents;

  private SequenceReader(
      SequenceFormat format,
      EventColumns columns,
      double from,
      double until,
      double sessionGap,
      boolean refusesEvents) {
    this.format = requireNonNull(format, "format");
    this.columns = requireNonNull(columns, "columns");
    this.from = from;
    this.until = until;
    this.sessionGap = sessionGap;
    this.refusesEvents = refusesEvents;
  }

  /** Returns a reader of a format. */
  public static SequenceReader of(SequenceFormat format) {
    return new SequenceReader(
        format,
        EventColumns.defaults(),
        Double.NEGATIVE_INFINITY,
        Double.POSITIVE_INFINITY,
        Double.POSITIVE_INFINITY,
        false);
  }

  /**
   * Returns a reader of sequences for a test by time: each ends with an event from a time on, and begins
   * with all events of its user before that. Users without such an event are left out, and a user
   * with n of them has n sequences.
   *
   * @throws IllegalArgumentException unless the time is finite and the format is events
   */
  public SequenceReader from(double time) {
    requireTime("from", time);
    return new SequenceReader(format, columns, time, until, sessionGap, refusesEvents);
  }

  /**
   * Returns a reader that leaves out events from a time on.
   *
   * @throws IllegalArgumentException unless the time is finite and the format is events
   */
  public SequenceReader until(double time) {
    requireTime("until", time);
    return new SequenceReader(format, columns, from, time, sessionGap, refusesEvents);
  }

  /**
   * Returns a reader of events with a header, or of objects of JSON Lines, with other names of columns.
   *
   * @throws IllegalArgumentException unless the format is events
   */
  public SequenceReader withColumns(EventColumns names) {
    if (format != SequenceFormat.EVENTS && !names.equals(EventColumns.defaults())) {
      throw new IllegalArgumentException(
          "columns: expected the format of events, which has columns, but was " + format);
    }
    return new SequenceReader(format, names, from, until, sessionGap, refusesEvents);
  }

  /**
   * Returns a reader that begins a new sequence of a user where the gap between two events is larger than
   * this one. Dates have seconds, and so have numbers below 1e11. From there on, numbers are
   * milliseconds, from 1e14 on microseconds, and from 1e17 on nanoseconds.
   *
   * @throws IllegalArgumentException unless the gap is in [1, 99999999999] whole seconds and the
   *     format is events
   */
  public SequenceReader withSessionGap(Duration gap) {
    requireEvents("sessionGap");
    if (gap.getNano() != 0 || gap.getSeconds() < 1 || gap.getSeconds() > LONGEST_GAP) {
      throw new IllegalArgumentException(
          "sessionGap: expected whole seconds in [1, %d] but was %s".formatted(LONGEST_GAP, gap));
    }
    return new SequenceReader(format, columns, from, until, gap.getSeconds(), refusesEvents);
  }

  private void requireEvents(String name) {
    if (format != SequenceFormat.EVENTS) {
      throw new IllegalArgumentException(
          name + ": expected the format of events, which have times, but was " + format);
    }
  }

  private void requireTime(String name, double time) {
    requireEvents(name);
    if (!Double.isFinite(time)) {
      throw new IllegalArgumentException(name + ": expected a finite number but was " + time);
    }
  }

  /**
   * Returns a reader of sequences that refuses what looks like events: each line has as many words, three
   * or four, the last is a number, and some user has several lines. For a format that is a default,
   * and that no user has named.
   */
  public SequenceReader refusingEvents() {
    return new SequenceReader(format, columns, from, until, sessionGap, true);
  }

  /**
   * Reads all sequences of a file, or of a pipe that has a name.
   *
   * @throws InvalidInputException if a line is not of the format; the message has its number
   * @throws IOException if the file cannot be read
   */
  public List<Sequence> read(Path file) throws IOException {
    try (InputStream in = ExampleReader.stream(file)) {
      return read(file.toString(), in);
    }
  }

  /**
   * Reads all sequences of a stream.
   *
   * @param name the name of the input in messages
   * @param in stays open
   * @throws InvalidInputException if a line is not of the format; the message has its number
   * @throws IOException if the stream cannot be read
   */
  public List<Sequence> read(String name, InputStream in) throws IOException {
    Reading reading = new Reading(name);
    try {
      reading.read(new LineReader(ExampleReader.decompressed(in)));
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
    return reading.sequences();
  }

  /** The events of one input. */
  private final class Reading {
    private static final int WORDS_OF_AN_EVENT = 3;

    /** Matches a number; Java accepts more forms, such as 7d and 0x1p3. */
    private static final Pattern NUMBER =
        Pattern.compile("[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?");

    /**
     * The smallest number that is milliseconds since 1970, as seconds in the year 5138; smaller
     * ones are seconds.
     */
    private static final double SMALLEST_MILLIS = 1e11;

    private static final int MILLIS = 1000;

    /** The length of a date without a time. */
    private static final int LENGTH_OF_A_DAY = 10;

    /** A date and a time, in UTC unless there is an offset. */
    private static final DateTimeFormatter DATE =
        new DateTimeFormatterBuilder()
            .append(DateTimeFormatter.ISO_LOCAL_DATE_TIME)
            .optionalStart()
            .appendOffsetId()
            .optionalEnd()
            .parseDefaulting(ChronoField.OFFSET_SECONDS, 0)
            .toFormatter(Locale.ROOT);

    private final String name;
    private final Map<String, List<Event>> events = new LinkedHashMap<>();

    /** The number of words in each line except a header; 0 if it varies, or lines are no events. */
    private int wordsOfAll = -1;

    private long linesOfUsers;

    /** Whether some time is a date: then all are seconds. */
    private boolean hasDates;

    /** The positions of user, item and time among the words of an event. */
    private int[] columnOf = {0, 1, 2};

    private int wordsOfAnEvent = WORDS_OF_AN_EVENT;

    private Reading(String name) {
      this.name = name;
    }

    private record Event(String item, double time) {}

    void read(LineReader lines) throws IOException {
      if (format == SequenceFormat.EVENTS) {
        readEvents(lines);
        return;
      }
      readWords(lines);
      requireNoEvents();
    }

    private void readWords(LineReader lines) throws IOException {
      while (true) {
        try {
          String line = lines.next();
          if (line == null) {
            return;
          }
          if (lines.isMalformed()) {
            throw new BadLineException("is not UTF-8");
          }
          List<String> words = LineParser.words(line);
          if (!words.isEmpty()) {
            add(words, lines.lines());
          }
        } catch (BadLineException e) {
          throw problem(lines.lines(), e);
        }
      }
    }

    private InvalidInputException problem(long line, Exception e) {
      return new InvalidInputException(name + ":" + line + ": " + e.getMessage());
    }

    private void readEvents(LineReader lines) throws IOException {
      Optional<RecordFormat> records;
      try {
        records = readHeader(lines);
      } catch (BadLineException | InvalidInputException e) {
        throw problem(lines.lines(), e);
      }
      if (records.isPresent()) {
        readRecords(new RecordReader(lines, records.get(), columns.fields()));
      } else {
        readWords(lines);
      }
    }

    /** Reads a header of words; the format of records, whose header is still to be read. */
    private Optional<RecordFormat> readHeader(LineReader lines)
        throws IOException, BadLineException {
      String first = lines.next();
      while (first != null && LineParser.words(first).isEmpty()) {
        first = lines.next();
      }
      if (first == null) {
        return Optional.empty();
      }
      List<String> words = LineParser.words(first);
      boolean isHeader = isHeader(words);
      Optional<RecordFormat> records = isHeader ? records(first) : Optional.empty();
      if (isHeader && records.isEmpty()) {
        columnOf = columns.fields().stream().mapToInt(f -> RecordReader.column(f, words)).toArray();
        wordsOfAnEvent = words.size();
      } else {
        lines.unread(first);
      }
      return records;
    }

    private boolean isHeader(List<String> words) {
      return !columns.equals(EventColumns.defaults())
          || words.size() != WORDS_OF_AN_EVENT
          || Double.isNaN(timeOrNaN(words.get(2)));
    }

    /** Returns the format of events with a header, or of objects; empty if spaces separate words. */
    private static Optional<RecordFormat> records(String first) {
      if (first.stripLeading().startsWith("{")) {
        return Optional.of(RecordFormat.JSONL);
      }
      if (first.indexOf('\t') >= 0) {
        return Optional.of(RecordFormat.TSV);
      }
      return first.indexOf(',') >= 0 || first.indexOf(';') >= 0
          ? Optional.of(RecordFormat.CSV)
          : Optional.empty();
    }

    private void readRecords(RecordReader records) throws IOException {
      try {
        for (List<List<String>> values; (values = records.next()) != null; ) {
          if (records.isMalformed()) {
            throw new BadLineException("is not UTF-8");
          }
          addEvent(
              field("user", values.get(0)),
              field("item", values.get(1)),
              field("time", values.get(2)));
        }
      } catch (BadLineException | InvalidInputException e) {
        throw problem(records.line(), e);
      }
    }

    private static String field(String column, List<String> values) throws BadLineException {
      if (values.size() > 1) {
        throw new BadLineException(
            column + ": expected one value but was an array of " + values.size());
      }
      String value = values.isEmpty() ? "" : values.get(0).trim();
      if (value.isEmpty()) {
        throw new BadLineException("the " + column + " is empty");
      }
      return value;
    }

    private void addEvent(String user, String item, String timeOfIt) throws BadLineException {
      double time = time(timeOfIt);
      if (time < until) {
        eventsOf(user).add(new Event(item, time));
      }
    }

    private void add(List<String> words, long line) throws BadLineException {
      if (format == SequenceFormat.EVENTS) {
        if (words.size() != wordsOfAnEvent) {
          throw new BadLineException(
              wordsOfAnEvent == WORDS_OF_AN_EVENT
                  ? "expected user, item and time but was " + words.size() + " words"
                  : "expected %d words, as the header has, but was %d"
                      .formatted(wordsOfAnEvent, words.size()));
        }
        addEvent(words.get(columnOf[0]), words.get(columnOf[1]), words.get(columnOf[2]));
        return;
      }
      if (refusesEvents && format == SequenceFormat.SEQUENCES) {
        look(words);
      }
      if (format == SequenceFormat.HISTORIES) {
        addHistory(words);
        return;
      }
      boolean isBasket = format == SequenceFormat.BASKETS;
      List<Event> of = eventsOf(isBasket ? Long.toString(line) : words.get(0));
      for (int i = isBasket ? 0 : 1; i < words.size(); i++) {
        of.add(new Event(words.get(i), 0));
      }
    }

    /** Adds the baskets of a user, each with its number in place of a time. */
    private void addHistory(List<String> words) throws BadLineException {
      List<Event> of = eventsOf(words.get(0));
      for (String basket : words.subList(1, words.size())) {
        double number = of.isEmpty() ? 0 : of.get(of.size() - 1).time + 1;
        int before = of.size();
        for (String item : basket.split(",", -1)) {
          if (!item.isEmpty()) {
            of.add(new Event(item, number));
          }
        }
        if (of.size() == before) {
          throw new BadLineException("expected items with commas between them but was '" + basket + "'");
        }
      }
    }

    private List<Event> eventsOf(String user) {
      return events.computeIfAbsent(user, u -> new ArrayList<>());
    }

    /** Checks whether a line may be an event. */
    private void look(List<String> words) {
      linesOfUsers++;
      boolean isEvent =
          (words.size() == WORDS_OF_AN_EVENT || words.size() == WORDS_OF_AN_EVENT + 1)
              && NUMBER.matcher(words.get(words.size() - 1)).matches();
      boolean isFirst = linesOfUsers == 1;
      if (isEvent && (wordsOfAll < 0 || wordsOfAll == words.size())) {
        wordsOfAll = words.size();
      } else if (!isFirst) { // the first may be a header
        wordsOfAll = 0;
      }
    }

    private void requireNoEvents() {
      if (wordsOfAll > 0 && events.size() < linesOfUsers) {
        throw new InvalidInputException(
            name
                + ": looks like events: each line has "
                + wordsOfAll
                + " words, the last one a number, and users have several lines; SequenceFormat"
                + ".EVENTS if it is a time, SequenceFormat.SEQUENCES if it is an item");
      }
    }

    private double time(String text) throws BadLineException {
      double time = timeOrNaN(text);
      if (!Double.isFinite(time)) {
        throw new BadLineException(
            "expected a number or a date of ISO 8601 as the time but was '"
                + LineParser.shown(text)
                + "'");
      }
      return time;
    }

    /** Returns the time of a text; NaN if it is neither a number nor a date. */
    private double timeOrNaN(String text) {
      if (NUMBER.matcher(text).matches()) {
        return Double.parseDouble(text);
      }
      if (text.length() < LENGTH_OF_A_DAY) {
        return Double.NaN;
      }
      try {
        OffsetDateTime time = // databases write a space for the T
            text.length() == LENGTH_OF_A_DAY
                ? LocalDate.parse(text).atStartOfDay().atOffset(ZoneOffset.UTC)
                : OffsetDateTime.parse(
                    text.substring(0, LENGTH_OF_A_DAY)
                        + text.substring(LENGTH_OF_A_DAY).replaceFirst("^ ", "T"),
                    DATE);
        hasDates = true;
        return time.toEpochSecond() + time.getNano() * 1e-9;
      } catch (DateTimeException e) {
        return Double.NaN;
      }
    }

    /** Returns the size of the last basket of a history; else 1. */
    private int targets(List<Event> all) {
      if (format != SequenceFormat.HISTORIES || all.isEmpty()) {
        return 1;
      }
      double last = all.get(all.size() - 1).time;
      return (int) all.stream().filter(event -> event.time == last).count();
    }

    List<Sequence> sequences() {
      List<Sequence> sequences = new ArrayList<>();
      events.forEach(
          (user, all) -> {
            all.sort(Comparator.comparingDouble(Event::time));
            int begin = 0;
            for (int i = 1; i < all.size(); i++) {
              if (isNewSession(all.get(i - 1).time, all.get(i).time)) {
                addTo(sequences, user, all.subList(begin, i));
                begin = i;
              }
            }
            addTo(sequences, user, all.subList(begin, all.size()));
          });
      return sequences;
    }

    private boolean isNewSession(double before, double time) {
      double unitsPerSecond = 1;
      double largest = Math.max(Math.abs(before), Math.abs(time));
      while (!hasDates && largest / unitsPerSecond >= SMALLEST_MILLIS) {
        unitsPerSecond *= MILLIS;
      }
      return time - before > sessionGap * unitsPerSecond;
    }

    private void addTo(List<Sequence> sequences, String user, List<Event> session) {
      ItemList items = ItemList.of(session.stream().map(Event::item).toList());
      if (from == Double.NEGATIVE_INFINITY) {
        sequences.add(new Sequence(user, items, targets(session)));
        return;
      }
      for (int i = 0; i < items.size(); i++) {
        if (session.get(i).time >= from) {
          sequences.add(new Sequence(user, items.first(i + 1)));
        }
      }
    }
  }
}
