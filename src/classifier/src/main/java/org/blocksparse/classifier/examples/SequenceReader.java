// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.classifier.examples.LineParser.BadLineException;

/**
 * Reads sequences of items. Names of users and items are any words; numbers have no meaning. Files
 * may be compressed, as for {@link ExampleReader}.
 *
 * <p>Empty lines are left out. Events are sorted by time; those of equal times keep the order of
 * the file. Lines of one user are joined, in the order of the file.
 */
public final class SequenceReader {
  private static final int FIELDS_OF_AN_EVENT = 3;

  private final String name;
  private final SequenceFormat format;
  private final double from;
  private final double until;
  private final Map<String, List<Event>> events = new LinkedHashMap<>();

  private record Event(String item, double time) {}

  private SequenceReader(String name, SequenceFormat format, double from, double until) {
    this.name = name;
    this.format = format;
    this.from = from;
    this.until = until;
  }

  /**
   * Reads all sequences.
   *
   * @param name the name of the input in messages
   * @param in stays open
   * @throws InvalidInputException if a line is not of the format; the message has its number
   * @throws IOException if the stream cannot be read
   */
  public static List<Sequence> read(String name, InputStream in, SequenceFormat format)
      throws IOException {
    return read(name, in, format, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
  }

  /**
   * As {@link #read(String, InputStream, SequenceFormat)}, of a part of the time. The result has
   * sequences for a test by time: each ends with an event from {@code from} on, and begins with all
   * events of its user before that.
   *
   * @param from users without an event from then on are left out, and a user with n such events has
   *     n sequences; negative infinity: one sequence for each user
   * @param until events from then on are left out
   * @throws IllegalArgumentException if a limit is NaN, or given for a format without times
   */
  public static List<Sequence> read(
      String name, InputStream in, SequenceFormat format, double from, double until)
      throws IOException {
    if (Double.isNaN(from) || Double.isNaN(until)) {
      throw new IllegalArgumentException("from, until: expected numbers but was NaN");
    }
    boolean isLimited = from > Double.NEGATIVE_INFINITY || until < Double.POSITIVE_INFINITY;
    if (isLimited && requireNonNull(format, "format") != SequenceFormat.EVENTS) {
      throw new IllegalArgumentException("format: expected events, which have times, with limits");
    }
    SequenceReader reader = new SequenceReader(name, format, from, until);
    try {
      reader.read(new LineReader(ExampleReader.decompressed(in)));
    } catch (IOException e) {
      throw new IOException(name + ": " + e.getMessage(), e);
    }
    return reader.sequences();
  }

  private void read(LineReader lines) throws IOException {
    while (true) {
      try {
        String line = lines.next();
        if (line == null) {
          return;
        }
        if (lines.isMalformed()) {
          throw new BadLineException("is not UTF-8");
        }
        if (!line.isBlank()) {
          add(line.strip().split("\\s+", -1), lines.lines());
        }
      } catch (BadLineException e) {
        throw new InvalidInputException(name + ":" + lines.lines() + ": " + e.getMessage());
      }
    }
  }

  private void add(String[] fields, long line) throws BadLineException {
    if (format == SequenceFormat.EVENTS) {
      if (fields.length != FIELDS_OF_AN_EVENT) {
        throw new BadLineException(
            "expected user, item and time but was " + fields.length + " words");
      }
      double time = time(fields[2]);
      if (time < until) {
        eventsOf(fields[0]).add(new Event(fields[1], time));
      }
      return;
    }
    boolean isBasket = format == SequenceFormat.BASKETS;
    List<Event> of = eventsOf(isBasket ? Long.toString(line) : fields[0]);
    for (int i = isBasket ? 0 : 1; i < fields.length; i++) {
      of.add(new Event(fields[i], 0));
    }
  }

  private List<Event> eventsOf(String user) {
    return events.computeIfAbsent(user, u -> new ArrayList<>());
  }

  private static double time(String text) throws BadLineException {
    try {
      double time = Double.parseDouble(text);
      if (Double.isFinite(time)) {
        return time;
      }
    } catch (NumberFormatException e) {
      // Refused below.
    }
    throw new BadLineException("expected a number as the time but was '" + text + "'");
  }

  private List<Sequence> sequences() {
    List<Sequence> sequences = new ArrayList<>();
    events.forEach(
        (user, all) -> {
          all.sort(Comparator.comparingDouble(Event::time));
          ItemList items = ItemList.of(all.stream().map(Event::item).toList());
          if (from == Double.NEGATIVE_INFINITY) {
            sequences.add(new Sequence(user, items));
            return;
          }
          for (int i = 0; i < items.size(); i++) {
            if (all.get(i).time >= from) {
              sequences.add(new Sequence(user, items.first(i + 1)));
            }
          }
        });
    return sequences;
  }
}
