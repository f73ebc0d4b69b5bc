// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.blocksparse.classifier.ExampleFormat;
import org.blocksparse.classifier.ExampleReader;
import picocli.CommandLine.Option;

/** How examples are read. */
final class InputOptions {
  private static final String STANDARD_INPUT = "-";

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      defaultValue = "auto",
      description =
          "text: '__label__a words', as fastText's. sparse: 'a,b 17:0.5 42:1', that of the extreme"
              + " classification repository. By default what the first line shows.")
  private ExampleFormat format;

  @Option(
      names = "--label-prefix",
      paramLabel = "PREFIX",
      defaultValue = "__label__",
      description = "What labels in a text begin with (default: ${DEFAULT-VALUE}).")
  private String labelPrefix;

  @Option(
      names = "--skip-bad-lines",
      description = "Leave out lines that cannot be read, and count them.")
  private boolean skipBadLines;

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  /** Opens a file, or standard input by its name -. */
  ExampleReader open(String file) throws IOException {
    return open(file, format);
  }

  /** The same, where a model tells what it takes. */
  ExampleReader open(String file, boolean text) throws IOException {
    boolean told = format != ExampleFormat.AUTO;
    return open(file, told ? format : text ? ExampleFormat.TEXT : ExampleFormat.SPARSE);
  }

  private ExampleReader open(String file, ExampleFormat as) throws IOException {
    return file.equals(STANDARD_INPUT)
        ? ExampleReader.read("standard input", System.in, as, labelPrefix, skipBadLines)
        : ExampleReader.open(Path.of(file), as, labelPrefix, skipBadLines);
  }

  /** Says how many lines were left out, if any. */
  static void tellBadLines(ExampleReader reader, PrintWriter err) {
    reader
        .firstProblem()
        .ifPresent(
            problem ->
                err.printf("Left out %,d bad lines; the first: %s%n", reader.badLines(), problem));
    err.flush();
  }
}
