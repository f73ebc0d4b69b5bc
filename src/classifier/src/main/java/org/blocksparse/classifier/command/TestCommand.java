// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Decisions;
import org.blocksparse.classifier.Evaluation;
import org.blocksparse.classifier.NoneMetrics;
import org.blocksparse.classifier.SetCounts;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.internal.files.AtomicFile;
import org.blocksparse.ranking.Metrics;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures a model. */
@Command(
    name = "test",
    description = {
      "Measures a model on examples with labels: precision, recall, nDCG and"
          + " propensity-scored precision (PSP) of the first k predictions; F1 at a"
          + " threshold; and how reliable probabilities are.",
      "Prints means over examples. A label that the model does not know counts as" + " missed."
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
      description = "Values of k in the metrics. Default: ${DEFAULT-VALUE}.")
  private List<Integer> top;

  @Option(
      names = "--threshold",
      paramLabel = "P",
      description =
          "Minimum probability of a predicted label, or 'best': the threshold that train"
              + " found on held-out examples. Default: best if the model has one, else 0.5.")
  private String threshold;

  @Option(
      names = "--coverage",
      paramLabel = "C",
      description =
          "Also measure the sets of predict --coverage C. The examples are kept in memory.")
  private Double coverage;

  @Option(
      names = "--none",
      paramLabel = "SHARE",
      description =
          "Also measure the probabilities of predict --none SHARE, on examples without a"
              + " known label, and on the others. The examples are kept in memory.")
  private Double none;

  @Option(
      names = "--by-label",
      paramLabel = "TSV",
      description =
          "Write a table of the labels to this file: numbers of examples and predictions,"
              + " precision, recall and F1.")
  private Path byLabel;

  @Mixin private InputOptions input;

  @Mixin private Streams streams;

  /** The threshold at which a label is as likely as not. */
  private static final double EVEN = 0.5;

  private long withUnknownLabels;
  private long withoutFeatures;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = streams.out();
    Limits.requireAll("--top", top, 1, Limits.MOST_LABELS);
    Optional<Threshold> chosen =
        Optional.ofNullable(threshold).map(t -> Threshold.parse(t, Decisions.LEAST_THRESHOLD));
    if (byLabel != null) {
      List<Path> others = new ArrayList<>(InputOptions.files(file));
      others.add(model.path());
      WritableFile.require("--by-label", byLabel, others);
    }
    try (Classifier classifier = model.load();
        Input examples = input.open(file, "testing", classifier, streams.err())) {
      double from =
          chosen
              .map(given -> given.of(classifier))
              .orElseGet(() -> classifier.threshold().orElse(EVEN));
      OptionalDouble ofSets =
          coverage == null ? OptionalDouble.empty() : Coverage.threshold(coverage, classifier);
      if (none != null) {
        NoneShare.of(none, classifier);
      }
      List<Example> all = new ArrayList<>();
      long began = System.nanoTime();
      Evaluation evaluation =
          classifier.evaluate(
              examples
                  .examples()
                  .peek(example -> countUnknownLabels(classifier, example))
                  .peek(example -> keep(example, all)),
              top.stream().mapToInt(Integer::intValue).max().orElseThrow(),
              from,
              unknown -> withoutFeatures += unknown.labels().isEmpty() ? 0 : 1);
      double seconds = (System.nanoTime() - began) * 1e-9;
      examples.requireLabels();
      printExamples(evaluation.ranking(), seconds, out);
      printRanking(evaluation.ranking(), classifier.hasPropensities(), out);
      printDecisions(evaluation.decisions(), out);
      printReliability(evaluation.decisions(), out);
      if (ofSets.isPresent()) {
        printSets(classifier.evaluateSets(all.stream(), ofSets.getAsDouble()), out);
      }
      if (none != null) {
        printNone(classifier.evaluateNone(all.stream(), none), out);
      }
      if (byLabel != null) {
        writeByLabel(evaluation.decisions().byLabel());
        out.printf("%n%s: figures of each label%n", byLabel);
      }
      out.flush();
    }
    return ExitCode.OK;
  }

  private void printExamples(Metrics metrics, double seconds, PrintWriter out) {
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
    out.println();
  }

  private void printRanking(Metrics metrics, boolean hasPropensities, PrintWriter out) {
    out.printf("%4s %9s %9s %9s", "k", "P@k", "R@k", "nDCG@k");
    out.println(hasPropensities ? "     PSP@k" : "");
    for (int k : top) {
      out.printf(
          "%4d %9.4f %9.4f %9.4f", k, metrics.precision(k), metrics.recall(k), metrics.ndcg(k));
      if (hasPropensities) {
        out.printf(" %9.4f", metrics.propensityScoredPrecision(k));
      }
      out.println();
    }
    if (!hasPropensities) {
      out.println("no PSP@k: the model has no label counts of a training with 3 examples or more");
    }
  }

  private static void printDecisions(Decisions decisions, PrintWriter out) {
    out.printf(
        "%nfrom a probability of %s: precision %.4f, recall %.4f, micro F1 %.4f, macro F1 %.4f%n",
        decisions.threshold(),
        decisions.precision(),
        decisions.recall(),
        decisions.microF1(),
        decisions.macroF1());
    if (decisions.threshold() != EVEN) {
      out.printf("from %s: micro F1 %.4f%n", EVEN, decisions.microF1(EVEN));
    }
    out.printf(
        "highest micro F1 on these examples: %.4f, from %s%n",
        decisions.bestF1(), decisions.bestThreshold());
  }

  private static void printReliability(Decisions decisions, PrintWriter out) {
    out.printf("%n%11s %9s %9s %9s%n", "probability", "answers", "mean", "right");
    for (Decisions.Bin bin : decisions.reliability()) {
      if (bin.count() > 0) {
        out.printf(
            "%4.1f to %3.1f %9d %9.4f %9.4f%n",
            bin.from(), bin.to(), bin.count(), bin.meanProbability(), bin.rightRate());
      }
    }
    out.printf("expected calibration error: %.4f%n", decisions.calibrationError());
    out.printf(
        "expected calibration error of the first predictions: %.4f%n",
        decisions.firstCalibrationError());
  }

  private void keep(Example example, List<Example> all) {
    if (coverage != null || none != null) {
      all.add(example);
    }
  }

  private void printSets(SetCounts sets, PrintWriter out) {
    out.printf(
        "%nsets for a coverage of %s: %.4f hold a right label; %.2f labels each%n",
        coverage, sets.coverage(), sets.size());
    if (sets.rareExamples() > 0) {
      out.printf(
          "of %,d examples whose labels have fewer than %d examples in the training: %.4f; %.2f%n",
          sets.rareExamples(), SetCounts.FEW, sets.rareCoverage(), sets.rareSize());
    }
  }

  private void printNone(NoneMetrics metrics, PrintWriter out) {
    out.printf(
        "%n%,d of %,d examples have no label that the model knows (%.4f; expected %s)%n",
        metrics.none(), metrics.examples(), (double) metrics.none() / metrics.examples(), none);
    out.printf("%36s %9s%n", "AUROC", "accuracy");
    out.printf("%-26s %9.4f %9.4f%n", "with (none)", metrics.auroc(), metrics.accuracy());
    out.printf(
        "%-26s %9.4f %9.4f%n",
        "first label, best cut-off", metrics.aurocOfFirst(), metrics.accuracyOfFirst());
  }

  private void writeByLabel(List<Decisions.OfLabel> labels) throws IOException {
    StringBuilder lines =
        new StringBuilder("label\texamples\tpredicted\tright\tprecision\trecall\tf1\n");
    for (Decisions.OfLabel label : labels) {
      lines.append(
          String.format(
              Locale.ROOT,
              "%s\t%d\t%d\t%d\t%.4f\t%.4f\t%.4f\n",
              Printed.of(label.label()),
              label.examples(),
              label.predicted(),
              label.right(),
              label.precision(),
              label.recall(),
              label.f1()));
    }
    byte[] bytes = lines.toString().getBytes(UTF_8);
    AtomicFile.write(byLabel, channel -> Channels.newOutputStream(channel).write(bytes));
  }

  private void countUnknownLabels(Classifier classifier, Example example) {
    withUnknownLabels += example.labels().stream().allMatch(classifier::knows) ? 0 : 1;
  }
}
