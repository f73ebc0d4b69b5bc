// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.blocksparse.ranking.Ranking;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Answers the beginnings of sentences, typed or piped in, one a line, with a line of likely next
 * words for each.
 */
@Command(
    name = "predict",
    customSynopsis = "mvn -Pdemo -Ddemo.args=\"predict [OPTIONS]\"",
    description = "Prints the most probable next words of each line that is typed or piped in.")
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
      description = "Number of words per prediction (default: ${DEFAULT-VALUE}).")
  private int top;

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    if (top < 1 || top > MOST_WORDS) {
      throw new UsageException(
          "--top: expected a number in [1, %d] but was %d".formatted(MOST_WORDS, top));
    }
    try (ModelFolder opened = ModelFolder.open(folder)) {
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
      PrintWriter out = spec.commandLine().getOut();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        out.println(answer(opened, line));
        out.flush(); // the reader may wait for it
      }
    } catch (UncheckedIOException e) { // a mapped file that was cut short
      throw new UsageException("cannot read the model: " + e.getCause().getMessage());
    }
    return ExitCode.OK;
  }

  private String answer(ModelFolder opened, String prompt) {
    Vocabulary vocabulary = opened.vocabulary();
    int[] words = vocabulary.ids(Sentences.words(prompt));
    Ranking likely = opened.model().likeliest(words, Math.min(top, vocabulary.size()));
    if (likely.size(0) == 0) {
      throw new UsageException(folder + ": its parameters are not all finite numbers");
    }
    return Showcase.words(likely, vocabulary);
  }
}
