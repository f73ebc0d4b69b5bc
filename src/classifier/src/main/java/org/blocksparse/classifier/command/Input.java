// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;

/**
 * Examples that are read from a file or a pipe. Shows the progress of reading, and at the end
 * prints the number of skipped lines, and whether the header's number is right.
 */
final class Input implements AutoCloseable {
  private static final int LINES_BETWEEN_LOOKS = 64; // between two readings of the clock

  private final String name;
  private final String labelPrefix;
  private final ExampleReader reader;

  /** The position of reading in the file; null if unknown. */
  private final FileChannel file;

  /** The hashed bytes below the reader; null if the input is not hashed. */
  private final HashedInput hashed;

  private final PrintWriter err;

  /** The shown progress; null if none is shown. */
  private final ProgressLine progress;

  private long lines;
  private long examples;
  private boolean isText;
  private boolean hasLabels;
  private boolean ended;

  /**
   * Creates the input of a reader.
   *
   * @param name stands for it in messages
   * @param labelPrefix the prefix of labels in a text
   * @param task the work while it is read; null: no progress is shown
   * @param hashed below the reader; null if what it reads is not hashed
   * @param file below the reader, which closes it; null if this is not a file of a known size
   */
  Input(
      String name,
      String labelPrefix,
      String task,
      ExampleReader reader,
      HashedInput hashed,
      FileChannel file,
      PrintWriter err)
      throws IOException {
    this.name = name;
    this.labelPrefix = labelPrefix;
    this.reader = reader;
    this.hashed = hashed;
    this.file = file;
    this.err = err;
    long total = file == null ? ProgressLine.UNKNOWN : file.size();
    this.progress = task == null ? null : new ProgressLine(task, total, err);
  }

  /** Drops labels, where they do not matter. Returns this. */
  Input withoutLabels() {
    reader.withoutLabels();
    return this;
  }

  /** Goes to the next line. Returns false at the end. */
  boolean nextLine() throws IOException {
    if (!reader.nextLine()) {
      end();
      return false;
    }
    reader.example().ifPresent(this::count);
    if (++lines % LINES_BETWEEN_LOOKS == 0 && progress != null) {
      progress.show(
          file == null ? lines : file.position(),
          () -> "%,.0f examples/s".formatted(lines / progress.seconds()));
    }
    return true;
  }

  private void count(Example example) {
    examples++;
    isText = example.isText();
    hasLabels |= !example.labels().isEmpty();
  }

  /**
   * Rejects input without labels to learn or measure.
   *
   * @throws InvalidInputException if no example has a label of those that were read
   */
  void requireLabels() {
    if (examples == 0) {
      throw new InvalidInputException(name + ": no examples");
    }
    if (!hasLabels) {
      String which =
          reader.format().records().isPresent()
              ? "in a column (--label-column)"
              : isText
                  ? "words that begin with " + labelPrefix + " (--label-prefix)" + similarPrefix()
                  : "what a line begins with, with commas between them";
      throw new InvalidInputException(
          "%s: none of %,d examples has a label; labels are %s".formatted(name, examples, which));
    }
  }

  private String similarPrefix() {
    return reader
        .similarLabelPrefix()
        .map(prefix -> "; did you mean --label-prefix " + Launcher.word(prefix) + "?")
        .orElse("");
  }

  /** Returns a problem of the line that was read last, or of all lines after the end. */
  InvalidInputException problem(String message) {
    return new InvalidInputException(
        name + (ended ? ": " : ": line " + reader.line() + ": ") + message);
  }

  /**
   * Adds the input to a model's card, after it was read.
   *
   * @param what the beginning of the names of the entries
   */
  void addTo(DataCard card, String what) {
    Path path = hashed == null || file != null ? Path.of(name).getFileName() : null;
    try {
      card.putFile(what, path == null ? name : path.toString(), hashed);
    } catch (IOException e) {
      throw new UncheckedIOException(name + ": " + e.getMessage(), e);
    }
  }

  /** Returns the example of the line; empty if it is a header, or was left out. */
  Optional<Example> example() {
    return reader.example();
  }

  /**
   * Returns all following examples. An {@link IOException} is wrapped in an {@link
   * UncheckedIOException}.
   */
  Stream<Example> examples() {
    return Stream.iterate(nextUnchecked(), Optional::isPresent, last -> nextUnchecked())
        .map(Optional::get);
  }

  private Optional<Example> nextUnchecked() {
    try {
      while (nextLine()) {
        if (example().isPresent()) {
          return example();
        }
      }
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /** Returns whether a whole line follows that is there already. */
  boolean ready() {
    return reader.ready();
  }

  @Override
  public void close() throws IOException {
    end();
    reader.close();
  }

  /** Prints the summary of all lines. */
  private void end() {
    if (ended) {
      return;
    }
    ended = true;
    if (progress != null) {
      progress.close();
    }
    reader
        .firstProblem()
        .ifPresent(
            problem ->
                err.printf(
                    "Left out %,d bad lines; the first: %s%n",
                    reader.badLines(), OptionName.inAdvice(problem)));
    reader
        .similarFormat()
        .filter(format -> isText && !hasLabels)
        .ifPresent(
            format ->
                err.printf(
                    "Warning: %s: line 1 looks like a record of %s, but was read as a text;"
                        + " --format %s reads columns%n",
                    name, format, format.name().toLowerCase(Locale.ROOT)));
    reader.problemOfHeader().ifPresent(problem -> err.printf("Warning: %s%n", problem));
    err.flush();
  }
}
