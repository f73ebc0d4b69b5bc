// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.blocksparse.Metrics;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Example;
import org.blocksparse.classifier.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures a model. */
@Command(
    name = "test",
    description = {
      "Measures a model on examples with labels: of the first k predictions of each example, how"
          + " many are right (precision), how many of its labels are found (recall), and nDCG.",
      "Means over examples; labels that the model does not know count as missed."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class TestCommand implements Callable<Integer> {
  @Mixin private ModelArgument model;

  @Parameters(index = "1", paramLabel = "FILE", description = "Examples; - is standard input.")
  private String file;

  @Option(
      names = "--top",
      paramLabel = "K",
      split = ",",
      defaultValue = "1,3,5",
      description = "Numbers of predictions (default: ${DEFAULT-VALUE}).")
  private List<Integer> top;

  @Mixin private InputOptions input;

  @Mixin private Streams streams;

  private long withUnknownLabels;
  private long withoutFeatures;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = streams.out();
    if (top.isEmpty()) {
      throw new InvalidInputException("--top: expected numbers with commas between them");
    }
    top.forEach(k -> Limits.require("--top", k, 1, Limits.MOST_LABELS));
    try (Classifier classifier = model.load();
        Input examples = input.open(file, "testing", classifier, streams.err())) {
      long began = System.nanoTime();
      Metrics metrics =
          classifier.evaluate(
              examples.examples().peek(example -> countUnknownLabels(classifier, example)),
              top.stream().mapToInt(Integer::intValue).max().orElseThrow(),
              unknown -> withoutFeatures += unknown.labels().isEmpty() ? 0 : 1);
      double seconds = (System.nanoTime() - began) * 1e-9;
      examples.requireLabels();
      out.printf("%,d examples in %.2f s", metrics.rows(), seconds);
      if (metrics.rowsWithoutLabels() > 0) {
        out.printf("; %,d without labels were left out", metrics.rowsWithoutLabels());
      }
      if (withUnknownLabels > 0) {
        out.printf("; %,d have labels that the model does not know", withUnknownLabels);
      }
      if (withoutFeatures > 0) {
        out.printf("; %,d have no feature that the model knows", withoutFeatures);
      }
      out.printf("%n%4s %9s %9s %9s%n", "k", "P@k", "R@k", "nDCG@k");
      for (int k : top) {
        out.printf(
            "%4d %9.4f %9.4f %9.4f%n", k, metrics.precision(k), metrics.recall(k), metrics.ndcg(k));
      }
      out.flush();
    }
    return ExitCode.OK;
  }

  private void countUnknownLabels(Classifier classifier, Example example) {
    withUnknownLabels += example.labels().stream().allMatch(classifier::knows) ? 0 : 1;
  }
}
