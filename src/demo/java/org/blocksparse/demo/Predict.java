// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Answers each line of the standard input with the most probable next words. */
@Command(
    name = "predict",
    customSynopsis = "mvn -f src/demo -Ddemo.args=\"predict [OPTIONS]\"",
    description = "Prints the most probable next words of each line that is typed or piped in.",
    mixinStandardHelpOptions = true)
final class Predict implements Callable<Integer> {
  static final String MODEL = "target/demo/model.safetensors";

  @Option(
      names = "--model",
      paramLabel = "FILE",
      defaultValue = MODEL,
      description = "The model that a training saved (default: ${DEFAULT-VALUE}).")
  private Path file;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "5",
      description = "Number of words per prediction (default: ${DEFAULT-VALUE}).")
  private int top;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    try (LanguageModel model = LanguageModel.load(file)) {
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        int[] words = Corpus.ids(model.softmax().labels(), Sentences.words(line));
        out.println(Showcase.words(model.likeliest(words, top)));
        out.flush(); // the reader may wait for it
      }
    }
    return 0;
  }
}
