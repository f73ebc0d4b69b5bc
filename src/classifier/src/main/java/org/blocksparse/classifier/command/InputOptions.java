// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.ExampleColumns;
import org.blocksparse.classifier.examples.ExampleFormat;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;
import picocli.CommandLine.Option;

/** Options of reading examples. */
final class InputOptions {
  private static final String STANDARD_INPUT = "-";

  /** The name under which a system has standard input as a file. */
  private static final Path FILE_OF_STANDARD_INPUT = Path.of("/dev/stdin");

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      defaultValue = "auto",
      description =
          "text: '__label__a words', as for fastText. sparse: 'a,b 17:0.5 42:1'. csv, tsv,"
              + " jsonl: records. auto: by the extension '.csv', '.tsv' or '.jsonl', else that of"
              + " the model; train takes text if a word in the first lines has the label prefix,"
              + " else sparse if a line has only features after its labels. Default:"
              + " ${DEFAULT-VALUE}.")
  private ExampleFormat format;

  @Option(
      names = "--text-column",
      paramLabel = "NAME",
      description = "The column, or field of JSON, with the text. Default: text.")
  private String textColumn;

  @Option(
      names = "--label-column",
      paramLabel = "NAME",
      description =
          "The column with the label; an array of JSON has several labels. Default: label.")
  private String labelColumn;

  @Option(
      names = "--label-separator",
      paramLabel = "TEXT",
      description =
          "What separates the labels in one string, such as ';'. Default: a string is one label.")
  private String labelSeparator;

  @Option(
      names = "--label-prefix",
      paramLabel = "PREFIX",
      description = "The prefix of labels in texts. Default: that of the model, else '__label__'.")
  private String labelPrefix;

  @Option(
      names = "--skip-bad-lines",
      description = "Skip lines that cannot be read, and count them.")
  private boolean skipBadLines;

  /** Returns the files among names of input; standard input is one where a shell has opened it. */
  static List<Path> files(String... names) {
    return Arrays.stream(names)
        .filter(Objects::nonNull)
        .map(name -> isStandardInput(name) ? FILE_OF_STANDARD_INPUT : path(name))
        .filter(path -> path != FILE_OF_STANDARD_INPUT || Files.isRegularFile(path))
        .toList();
  }

  /**
   * Returns a file by its name.
   *
   * @throws InvalidInputException if it is empty, which would be the folder of this process
   */
  private static Path path(String name) {
    if (name.isEmpty()) {
      throw new InvalidInputException("FILE: expected the name of a file, or -, but was empty");
    }
    return Path.of(name);
  }

  /** Returns the prefix of labels; by default that of the model, if there is one. */
  String labelPrefix(Optional<Classifier> model) {
    return labelPrefix == null
        ? model.map(Classifier::labelPrefix).orElse(ExampleReader.DEFAULT_LABEL_PREFIX)
        : labelPrefix;
  }

  /** Returns whether that was chosen, which means nothing to features. */
  boolean hasLabelPrefix() {
    return labelPrefix != null;
  }

  /**
   * Opens a file, or standard input by its name -, for a model, which determines the format.
   *
   * @param task the work while it is read; null: no progress is shown
   * @throws InvalidInputException if an option is for what it does not take
   */
  Input open(String file, String task, Classifier model, PrintWriter err) throws IOException {
    requireColumns(file, hasRecords(file, model));
    return open(file, task, model, in -> null, err);
  }

  private boolean hasRecords(String file, Classifier model) {
    return model.takesText() && format.forFile(file).records().isPresent();
  }

  /** Opens a file to train, from a model if there is one, and hashes the input. */
  Input openToTrain(String file, String task, Optional<Classifier> model, PrintWriter err)
      throws IOException {
    return model.isPresent()
        ? open(file, task, model.get(), HashedInput::new, err)
        : open(file, task, format.forFile(file), labelPrefix(model), HashedInput::new, err);
  }

  /**
   * Rejects options of columns for a file without columns.
   *
   * @throws InvalidInputException if one is set
   */
  void requireColumns(String file) {
    requireColumns(file, format.forFile(file).records().isPresent());
  }

  private void requireColumns(String file, boolean hasRecords) {
    if (!hasRecords) {
      requireUnset("--text-column", textColumn);
      requireUnset("--label-column", labelColumn);
      requireUnset("--label-separator", labelSeparator);
    } else if (hasLabelPrefix()) {
      throw new InvalidInputException(
          "--label-prefix: expected lines of text, but " + file + " has columns");
    }
  }

  private static void requireUnset(String option, String value) {
    if (value != null) {
      throw new InvalidInputException(
          option + ": expected --format csv, tsv or jsonl, or a file with such an extension");
    }
  }

  /** Returns these options as words of a command that reads a file of the same kind. */
  String words() {
    Map<String, String> given = new LinkedHashMap<>();
    given.put("--format", format.records().isPresent() ? lowerCase(format) : null);
    given.put("--text-column", textColumn);
    given.put("--label-column", labelColumn);
    given.put("--label-separator", labelSeparator);
    StringBuilder words = new StringBuilder();
    given.forEach(
        (option, value) ->
            words.append(value == null ? "" : " " + option + " " + Launcher.word(value)));
    return words.toString();
  }

  private ExampleColumns columns() {
    ExampleColumns columns = ExampleColumns.defaults();
    return new ExampleColumns(
        textColumn == null ? columns.text() : textColumn,
        labelColumn == null ? columns.label() : labelColumn,
        labelSeparator == null ? columns.labelSeparator() : labelSeparator);
  }

  private Input open(
      String file,
      String task,
      Classifier model,
      Function<InputStream, HashedInput> hashing,
      PrintWriter err)
      throws IOException {
    ExampleFormat ofModel = model.takesText() ? ExampleFormat.TEXT : ExampleFormat.SPARSE;
    boolean hasRecords = hasRecords(file, model);
    if (format != ExampleFormat.AUTO && format != ofModel && !hasRecords) {
      throw new InvalidInputException(
          "--format: expected %s, on which the model was trained, but was %s"
              .formatted(lowerCase(ofModel), lowerCase(format)));
    }
    if (hasLabelPrefix() && !model.takesText()) {
      throw new InvalidInputException(
          "--label-prefix: expected texts, but the model was trained on features");
    }
    ExampleFormat as = hasRecords ? format.forFile(file) : ofModel;
    return open(file, task, as, labelPrefix(Optional.of(model)), hashing, err);
  }

  private static String lowerCase(ExampleFormat format) {
    return format.name().toLowerCase(Locale.ROOT);
  }

  private Input open(
      String file,
      String task,
      ExampleFormat as,
      String prefix,
      Function<InputStream, HashedInput> hashing,
      PrintWriter err)
      throws IOException {
    try {
      return opened(file, task, as, prefix, hashing, err);
    } catch (IllegalArgumentException e) { // the prefix is invalid
      throw OptionName.in(e);
    }
  }

  private Input opened(
      String file,
      String task,
      ExampleFormat as,
      String prefix,
      Function<InputStream, HashedInput> hashing,
      PrintWriter err)
      throws IOException {
    if (isStandardInput(file)) {
      String name = "standard input";
      HashedInput hashed = hashing.apply(System.in);
      ExampleReader reader = reader(name, hashed == null ? System.in : hashed, as, prefix);
      return new Input(name, prefix, task, reader, hashed, null, err);
    }
    Path path = path(file);
    if (!Files.isRegularFile(path)) {
      ExampleReader reader =
          ExampleReader.open(path, as, prefix, skipBadLines).withColumns(columns());
      return new Input(file, prefix, task, reader, null, null, err);
    }
    FileChannel channel = FileChannel.open(path);
    try {
      InputStream in = Channels.newInputStream(channel);
      HashedInput hashed = hashing.apply(in);
      ExampleReader reader = reader(file, hashed == null ? in : hashed, as, prefix);
      return new Input(file, prefix, task, reader, hashed, channel, err);
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  private ExampleReader reader(String name, InputStream in, ExampleFormat as, String prefix)
      throws IOException {
    return ExampleReader.read(name, in, as, prefix, skipBadLines).withColumns(columns());
  }

  /** Returns whether a name of input is that of standard input. */
  static boolean isStandardInput(String name) {
    return STANDARD_INPUT.equals(name);
  }
}
