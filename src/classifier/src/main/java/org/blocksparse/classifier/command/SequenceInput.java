// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import org.blocksparse.classifier.examples.EventColumns;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.examples.SequenceReader;
import org.blocksparse.classifier.nextitem.NextItem;
import picocli.CommandLine.Option;

/** Options of reading sequences. */
final class SequenceInput {
  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description =
          "sequences: 'user item item ...', the oldest item first. baskets: 'item item ...', in any"
              + " order. histories: 'user item,item item ...', the oldest basket first. events:"
              + " 'user item time', one per line, or CSV, TSV or JSON Lines with such columns."
              + " Default: that of the model; sequences in training.")
  private SequenceFormat format;

  @Option(
      names = "--user",
      paramLabel = "NAME",
      description =
          "The column of events with the user. Default: that of the model; else user, user_id,"
              + " userId or user_id:token.")
  private String user;

  @Option(
      names = "--item",
      paramLabel = "NAME",
      description =
          "The column with the item. Default: that of the model; else item, item_id, itemId,"
              + " movieId or item_id:token.")
  private String item;

  @Option(
      names = "--time",
      paramLabel = "NAME",
      description =
          "The column with the time. Default: that of the model; else time, timestamp or"
              + " timestamp:float.")
  private String time;

  /** Returns the format of a training. */
  SequenceFormat format() {
    return format == null ? SequenceFormat.SEQUENCES : format;
  }

  /** Returns the columns of a training. */
  EventColumns columns() {
    return columns(EventColumns.defaults(), format());
  }

  private EventColumns columns(EventColumns otherwise, SequenceFormat as) {
    requireEvents("--user", user, as);
    requireEvents("--item", item, as);
    requireEvents("--time", time, as);
    return new EventColumns(
        user == null ? otherwise.user() : user,
        item == null ? otherwise.item() : item,
        time == null ? otherwise.time() : time);
  }

  private static void requireEvents(String option, String column, SequenceFormat format) {
    if (column != null && format != SequenceFormat.EVENTS) {
      throw new InvalidInputException(option + ": expected --format events, which have columns");
    }
  }

  /**
   * Returns all sequences of a file to train on.
   *
   * @param until leaves out events from then on; null: no limit
   * @param sessionGap ends a sequence of a user; null if none does
   * @param card gets the file
   */
  List<Sequence> readToTrain(String file, Double until, Duration sessionGap, DataCard card)
      throws IOException {
    requireEvents("--until", until, format());
    SequenceReader reader = reader(format(), columns(), sessionGap);
    return read(file, until == null ? reader : reader.until(until), card);
  }

  /** Returns all sequences of a file to validate a training on. */
  List<Sequence> readToValidate(String file, Duration sessionGap) throws IOException {
    return read(file, reader(format(), columns(), sessionGap), null);
  }

  /**
   * Returns all sequences of a file for a model, in the format that it was trained on; another one
   * is rejected, as items would be users.
   *
   * @param from as {@link SequenceReader} has it; null: no limit
   */
  List<Sequence> readFor(NextItem model, String file, Double from) throws IOException {
    SequenceFormat trained = model.format();
    boolean ofBaskets = trained == SequenceFormat.BASKETS;
    SequenceFormat as = format == null ? trained : format;
    if ((as == SequenceFormat.BASKETS) != ofBaskets) {
      throw new InvalidInputException(
          "--format: expected %s, on which the model was trained, but was %s"
              .formatted(ofBaskets ? "baskets" : "sequences, histories or events", lowerCase(as)));
    }
    requireEvents("--from", from, as);
    if (from != null) {
      requireLater(from, model);
    }
    Duration sessionGap = as == SequenceFormat.EVENTS ? model.sessionGap().orElse(null) : null;
    SequenceReader reader = reader(as, columns(model.columns(), as), sessionGap);
    return read(file, from == null ? reader : reader.from(from), null);
  }

  private static String lowerCase(SequenceFormat format) {
    return format.name().toLowerCase(Locale.ROOT);
  }

  private static void requireEvents(String option, Double time, SequenceFormat format) {
    if (time != null && format != SequenceFormat.EVENTS) {
      throw new InvalidInputException(option + ": expected --format events, which have times");
    }
    if (time != null && !Double.isFinite(time)) {
      throw new InvalidInputException(option + ": expected a finite number but was " + time);
    }
  }

  /** Requires that a test has no event that training had. */
  private static void requireLater(double from, NextItem model) {
    OptionalDouble until = model.until();
    if (until.isEmpty()) {
      throw new InvalidInputException(
          "--from: expected a model of train --until, which leaves out later events; this one has"
              + " learned all");
    }
    if (from < until.getAsDouble()) {
      throw new InvalidInputException(
          "--from: expected at least %s, the --until of the model, which has learned earlier events"
              .formatted(model.info().get("until")));
    }
  }

  private SequenceReader reader(SequenceFormat as, EventColumns columns, Duration sessionGap) {
    SequenceReader reader = SequenceReader.of(as);
    reader = as == SequenceFormat.EVENTS ? reader.withColumns(columns) : reader;
    reader = sessionGap == null ? reader : reader.withSessionGap(sessionGap);
    return format == null ? reader.refusingEvents() : reader;
  }

  private static List<Sequence> read(String file, SequenceReader reader, DataCard card)
      throws IOException {
    boolean isStandard = InputOptions.isStandardInput(file);
    String name = isStandard ? "standard input" : file;
    List<Sequence> sequences;
    if (isStandard || Files.isRegularFile(Path.of(file))) {
      try (InputStream in = isStandard ? System.in : Files.newInputStream(Path.of(file));
          HashedInput hashed = new HashedInput(in)) {
        sequences = reader.read(name, hashed);
        if (card != null) {
          card.putFile("data", isStandard ? name : Path.of(file).getFileName().toString(), hashed);
        }
      }
    } else {
      sequences = reader.read(Path.of(file)); // a pipe
      if (card != null) {
        card.putFile("data", file, null);
      }
    }
    if (sequences.isEmpty()) {
      throw new InvalidInputException(name + ": no sequences");
    }
    return sequences;
  }
}
