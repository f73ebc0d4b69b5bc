// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
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
              + " order. events: 'user item time', one per line. Default: that of the model;"
              + " sequences in training.")
  private SequenceFormat format;

  boolean isBaskets() {
    return format == SequenceFormat.BASKETS;
  }

  /** Reads what a model was trained on, and rejects another format: items would be users. */
  SequenceInput ofModel(NextItem model) {
    boolean ofBaskets = model.isOfBaskets();
    if (format == null) {
      format = ofBaskets ? SequenceFormat.BASKETS : SequenceFormat.SEQUENCES;
    } else if (isBaskets() != ofBaskets) {
      throw new InvalidInputException(
          "--format: expected %s, on which the model was trained, but was %s"
              .formatted(
                  ofBaskets ? "baskets" : "sequences or events",
                  format.name().toLowerCase(Locale.ROOT)));
    }
    return this;
  }

  /** All sequences of a file. */
  List<Sequence> read(String file) throws IOException {
    return read(file, null, null, null);
  }

  /**
   * The sequences of a part of the time.
   *
   * @param from as {@link SequenceReader} has it; null: no limit
   * @param until null: no limit
   * @param card gets the file; may be null
   */
  List<Sequence> read(String file, Double from, Double until, DataCard card) throws IOException {
    if ((from != null || until != null) && format != SequenceFormat.EVENTS) {
      throw new InvalidInputException(
          (from != null ? "--from" : "--until") + ": expected --format events, which have times");
    }
    requireFinite("--from", from);
    requireFinite("--until", until);
    boolean isStandard = InputOptions.isStandardInput(file);
    String name = isStandard ? "standard input" : file;
    try (InputStream in = isStandard ? System.in : Files.newInputStream(Path.of(file));
        HashedInput hashed = new HashedInput(in)) {
      List<Sequence> sequences =
          SequenceReader.read(
              name,
              hashed,
              format == null ? SequenceFormat.SEQUENCES : format,
              from == null ? Double.NEGATIVE_INFINITY : from,
              until == null ? Double.POSITIVE_INFINITY : until);
      if (card != null) {
        card.putFile("data", isStandard ? name : Path.of(file).getFileName().toString(), hashed);
      }
      if (sequences.isEmpty()) {
        throw new InvalidInputException(name + ": no sequences");
      }
      return sequences;
    }
  }

  private static void requireFinite(String option, Double time) {
    if (time != null && !Double.isFinite(time)) {
      throw new InvalidInputException(option + ": expected a finite number but was " + time);
    }
  }
}
