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
import java.util.List;
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

  /** The files among names of input. */
  static List<Path> files(String... names) {
    return Arrays.stream(names)
        .filter(name -> name != null && !name.equals(STANDARD_INPUT))
        .map(Path::of)
        .toList();
  }

  /**
   * Opens a file, or standard input by its name -.
   *
   * @param task what is done while it is read; null: nothing is told
   */
  Input open(String file, String task, PrintWriter err) throws IOException {
    return open(file, task, format, err);
  }

  /** The same, where a model tells what it takes. */
  Input open(String file, String task, boolean text, PrintWriter err) throws IOException {
    boolean told = format != ExampleFormat.AUTO;
    return open(file, task, told ? format : text ? ExampleFormat.TEXT : ExampleFormat.SPARSE, err);
  }

  private Input open(String file, String task, ExampleFormat as, PrintWriter err)
      throws IOException {
    if (file.equals(STANDARD_INPUT)) {
      return new Input(task, reader("standard input", System.in, as), null, err);
    }
    Path path = Path.of(file);
    FileChannel channel = FileChannel.open(path);
    try {
      boolean isOfKnownSize = Files.isRegularFile(path);
      ExampleReader reader = reader(file, Channels.newInputStream(channel), as);
      return new Input(task, reader, isOfKnownSize ? channel : null, err);
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  private ExampleReader reader(String name, InputStream in, ExampleFormat as) throws IOException {
    return ExampleReader.read(name, in, as, labelPrefix, skipBadLines);
  }
}
