// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.blocksparse.Ranking;
import org.jline.reader.Candidate;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jline.terminal.TerminalBuilder.SystemOutput;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Answers the beginnings of sentences, one a line, with the likely next words: typed at a terminal,
 * with history and completion, or piped in, for one line of answer each and nothing else.
 */
@Command(
    name = "predict",
    customSynopsis = "mvn -Pdemo -Ddemo.args=\"predict [OPTIONS]\"",
    description = "Answers what is typed or piped in with the likely next words.")
final class Predict implements Callable<Integer> {
  private static final int MOST_WORDS = 1000;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      defaultValue = "target/demo/model",
      description = "The folder that a training wrote (default: ${DEFAULT-VALUE}).")
  private Path folder;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "5",
      description = "Words of an answer (default: ${DEFAULT-VALUE}).")
  private int top;

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    if (top < 1 || top > MOST_WORDS) {
      throw new InvalidInputException(
          "--top: expected a number in [1, %d] but was %d".formatted(MOST_WORDS, top));
    }
    try (ModelFolder opened = ModelFolder.open(folder)) {
      Optional<Terminal> terminal = terminal();
      if (terminal.isPresent()) {
        talk(opened, terminal.get());
      } else {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        PrintWriter out = spec.commandLine().getOut();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          out.println(answer(opened, line));
          out.flush(); // whoever is at the other end may wait for it
        }
      }
    } catch (UncheckedIOException e) { // a mapped file that was cut short
      throw new InvalidInputException("cannot read the model: " + e.getCause().getMessage());
    }
    return ExitCode.OK;
  }

  private String answer(ModelFolder opened, String prompt) {
    Ranking likely = likeliest(opened, prompt);
    if (likely.size(0) == 0) {
      throw new InvalidInputException(folder + ": its parameters are not all finite numbers");
    }
    return Showcase.words(likely, opened.vocabulary());
  }

  private Ranking likeliest(ModelFolder opened, String prompt) {
    int[] words = opened.vocabulary().ids(Sentences.words(prompt));
    return opened.model().likeliest(words, Math.min(top, opened.vocabulary().size()));
  }

  private static Optional<Terminal> terminal() throws IOException {
    try {
      return Optional.of(
          TerminalBuilder.builder().systemOutput(SystemOutput.SysOut).dumb(false).build());
    } catch (IllegalStateException e) { // input or output is a pipe or a file
      return Optional.empty();
    }
  }

  /** Answers what is typed at a terminal, until its user ends it; then closes it. */
  void talk(ModelFolder opened, Terminal screen) throws IOException {
    try (Terminal terminal = screen) {
      LineReader reader =
          LineReaderBuilder.builder()
              .terminal(terminal)
              .parser(new DefaultParser().quoteChars(new char[0]).escapeChars(new char[0]))
              .completer((self, line, candidates) -> complete(opened, line, candidates))
              .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true) // "!" is a word
              .variable(LineReader.HISTORY_FILE, folder.resolve("history"))
              .build();
      terminal.writer().println("The beginning of a sentence; Tab completes, Ctrl-D ends.");
      while (true) {
        terminal.writer().println("  " + answer(opened, reader.readLine("> ")));
      }
    } catch (EndOfFileException | UserInterruptException e) {
      spec.commandLine().getOut().flush(); // the user has had enough
    }
  }

  /** Of a word that has begun, all that begin so; where none has, those that are likely. */
  private void complete(ModelFolder opened, ParsedLine line, List<Candidate> candidates) {
    Vocabulary vocabulary = opened.vocabulary();
    String begun = line.word().substring(0, line.wordCursor()).toLowerCase(Locale.ROOT);
    if (begun.isEmpty()) {
      Ranking likely = likeliest(opened, line.line().substring(0, line.cursor()));
      for (int rank = 0; rank < likely.size(0); rank++) {
        candidates.add(new Candidate(vocabulary.word(likely.output(0, rank))));
      }
    } else {
      vocabulary.words().stream()
          .filter(word -> word.startsWith(begun))
          .map(Candidate::new)
          .forEach(candidates::add);
    }
  }
}
