// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Example;
import org.blocksparse.classifier.Prediction;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Predicts labels. */
@Command(
    name = "predict",
    description = {
      "Prints the likeliest labels of each line, best first, each with its probability; tabs are"
          + " between them.",
      "Labels in the input do not matter. Answers come as soon as lines do."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class PredictCommand implements Callable<Integer> {
  private static final int MOST_AT_ONCE = 1024;
  private static final int DECIMALS = 6;
  private static final long MILLION = 1_000_000;

  @Mixin private ModelArgument model;

  @Parameters(
      index = "1",
      paramLabel = "FILE",
      arity = "0..1",
      defaultValue = "-",
      description = "Texts or features; - is standard input, the default.")
  private String file;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "5",
      description = "Labels of an answer (default: ${DEFAULT-VALUE}).")
  private int top;

  @Mixin private InputOptions input;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    Limits.require("--top", top, 1, Limits.MOST_LABELS);
    PrintWriter out = spec.commandLine().getOut();
    String task = Terminal.isThere() ? null : "predicting"; // there the answers tell
    try (Classifier classifier = model.load();
        Input examples =
            input.open(file, task, classifier.takesText(), spec.commandLine().getErr())) {
      List<Example> waiting = new ArrayList<>();
      for (Optional<Example> next = examples.next(); next.isPresent(); next = examples.next()) {
        waiting.add(next.get());
        if (waiting.size() == MOST_AT_ONCE || !examples.ready()) {
          answer(classifier, waiting, out);
        }
      }
      answer(classifier, waiting, out);
    }
    return ExitCode.OK;
  }

  private void answer(Classifier classifier, List<Example> waiting, PrintWriter out)
      throws IOException {
    for (List<Prediction> predictions : classifier.predict(waiting, top)) {
      StringBuilder line = new StringBuilder();
      for (Prediction prediction : predictions) {
        line.append(line.isEmpty() ? "" : "\t").append(prediction.label()).append('\t');
        addProbability(prediction.probability(), line);
      }
      out.println(line);
    }
    waiting.clear();
    // What is behind the writer tells nobody of an error on its own, as of a reader that has gone.
    if (out.checkError() || System.out.checkError()) {
      throw new IOException("standard output is closed");
    }
  }

  /** With six decimals; {@link String#format} takes longer than to predict. */
  private static void addProbability(double probability, StringBuilder line) {
    long millionths = Math.round(probability * MILLION);
    line.append(millionths / MILLION).append('.');
    line.append(Long.toString(MILLION + millionths % MILLION), 1, DECIMALS + 1);
  }
}
