// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Explanation;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Predicts labels. */
@Command(
    name = "predict",
    description = {
      "Prints the most probable labels of each line, best first, each with its probability,"
          + " separated by tabs.",
      "Labels in the input are ignored. Each input line, or record of CSV, gives one output line at"
          + " once. The output line is empty for the header of a sparse file, for a line that"
          + " --skip-bad-lines skips, and if no label reaches --threshold. With --explain, each label has a line of"
          + " its own, and an empty line follows the last one."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class PredictCommand implements Callable<Integer> {
  private static final int TOP = 5;
  private static final int MOST_AT_ONCE = 1024;
  private static final int MOST_LABELS_AT_ONCE = 1 << 20;
  private static final int DECIMALS = 6;
  private static final int MOST_FEATURES = 5;
  private static final long MILLION = 1_000_000;

  @Mixin private ModelArgument model;

  @Parameters(
      index = "1",
      paramLabel = "FILE",
      arity = "0..1",
      defaultValue = "-",
      description = "Texts or features. Default: -, which is standard input.")
  private String file;

  @Option(
      names = "--top",
      paramLabel = "K",
      description = "Maximum number of labels per prediction. Default: " + TOP + ".")
  private Integer chosenTop;

  @Option(
      names = "--threshold",
      paramLabel = "P",
      description =
          "Minimum probability of a predicted label, or 'best': the threshold that train"
              + " found on held-out examples. Default: best without --top, if more than a tenth of"
              + " the training examples had several labels; else 0.")
  private String thresholdText;

  @Option(
      names = "--coverage",
      paramLabel = "C",
      description =
          "Print a set of labels for each line: this share of future lines like the"
              + " held-out examples of train, as 0.9, has a right label in its set. Takes no --top"
              + " and no --threshold.")
  private Double coverage;

  @Option(
      names = "--none",
      paramLabel = "SHARE",
      description =
          "Also print the probability that no label applies, as that of a label (none)."
              + " SHARE is the share of such lines that you expect, as 0.1. Needs a model of train"
              + " --none.")
  private Double none;

  @Option(
      names = "--explain",
      description =
          "After each label, print its score, that of an empty line, and what each head"
              + " adds, with the five features that count most.")
  private boolean explain;

  @Mixin private InputOptions input;

  @Mixin private Streams streams;

  private PredictionOptions options;
  private long withoutFeatures;

  @Override
  public Integer call() throws IOException {
    if (coverage != null && chosenTop != null) {
      throw new InvalidInputException(
          "--top: expected no --coverage as well, whose sets have as many labels as they need");
    }
    int top = chosenTop == null ? TOP : chosenTop;
    Limits.require("--top", top, 1, Limits.MOST_LABELS);
    Optional<Threshold> chosen = Optional.ofNullable(thresholdText).map(t -> Threshold.parse(t, 0));
    if (coverage != null && chosen.isPresent()) {
      throw new InvalidInputException(
          "--threshold: expected no --coverage as well, which has its own");
    }
    if (coverage != null && none != null) {
      throw new InvalidInputException(
          "--none: expected no --coverage as well, whose sets are of known labels");
    }
    PrintWriter out = streams.out();
    String task = Terminal.isThere() ? null : "predicting"; // there, the answers show the progress
    try (Classifier classifier = model.load();
        Input examples = input.open(file, task, classifier, streams.err()).withoutLabels()) {
      if (coverage != null) {
        top = classifier.labels().size();
      }
      options =
          PredictionOptions.top(top)
              .withThreshold(threshold(chosen, classifier))
              .withUnknown(example -> withoutFeatures++);
      if (none != null) {
        options = options.withNone(NoneShare.of(none, classifier));
      }
      int most = Math.min(MOST_AT_ONCE, Math.max(1, MOST_LABELS_AT_ONCE / top));
      List<Optional<Example>> waiting = new ArrayList<>();
      try {
        while (examples.nextLine()) {
          waiting.add(examples.example());
          if (waiting.size() == most || !examples.ready()) {
            answer(classifier, waiting, out);
          }
        }
      } finally { // a line that ends the reading does not suppress earlier answers
        answer(classifier, waiting, out);
      }
    }
    if (withoutFeatures > 0) {
      streams
          .err()
          .printf(
              "%,d lines have no feature that the model knows: their answer is that for an empty"
                  + " line%n",
              withoutFeatures);
      streams.err().flush();
    }
    return ExitCode.OK;
  }

  private double threshold(Optional<Threshold> chosen, Classifier classifier) {
    if (coverage != null) {
      return Coverage.threshold(coverage, classifier).getAsDouble();
    }
    boolean isBest = chosenTop == null && classifier.hasSeveralLabels();
    return chosen
        .map(given -> given.of(classifier))
        .orElseGet(() -> isBest ? classifier.threshold().orElse(0) : 0);
  }

  /** Answers lines; a line without an example gets an empty answer. */
  private void answer(Classifier classifier, List<Optional<Example>> waiting, PrintWriter out)
      throws IOException {
    List<Example> examples = waiting.stream().flatMap(Optional::stream).toList();
    Iterator<List<Prediction>> answers = classifier.predict(examples, options).iterator();
    for (Optional<Example> example : waiting) {
      List<Prediction> answer = example.isPresent() ? answers.next() : List.of();
      if (explain) {
        answer.forEach(label -> out.println(explained(classifier, example.orElseThrow(), label)));
      }
      out.println(explain ? "" : line(answer));
    }
    waiting.clear();
    Streams.flush(out);
  }

  private static String line(List<Prediction> predictions) {
    StringBuilder line = new StringBuilder();
    for (Prediction prediction : predictions) {
      line.append(line.isEmpty() ? "" : "\t").append(Printed.of(prediction.label())).append('\t');
      addProbability(prediction.probability(), line);
    }
    return line.toString();
  }

  private static String explained(Classifier classifier, Example example, Prediction prediction) {
    if (prediction.isNone()) {
      return line(List.of(prediction));
    }
    Explanation why = classifier.explain(example, prediction.label());
    StringBuilder line = new StringBuilder(line(List.of(prediction)));
    line.append("\tscore")
        .append(signed(why.score()))
        .append("\tempty")
        .append(signed(why.prior()));
    for (Explanation.Share share : why.shares()) {
      String features =
          share.features().stream()
              .limit(MOST_FEATURES)
              .map(feature -> Printed.of(feature.name()) + signed(feature.score()))
              .collect(Collectors.joining(", "));
      line.append('\t').append(share.head()).append(signed(share.score()));
      line.append(features.isEmpty() ? "" : " (" + features + ")");
    }
    return line.toString();
  }

  private static String signed(double number) {
    double rounded = Math.rint(100 * number) / 100 + 0.0; // avoids -0
    return String.format(Locale.ROOT, " %+.2f", rounded);
  }

  /**
   * Prints six decimals, rounded down, so that a label reaches its own printed probability as a
   * threshold. {@link String#format} takes longer than the prediction.
   */
  static void addProbability(double probability, StringBuilder line) {
    long millionths = (long) (probability * MILLION);
    millionths -= (double) millionths / MILLION > probability ? 1 : 0; // the product was rounded
    line.append(millionths / MILLION).append('.');
    line.append(Long.toString(MILLION + millionths % MILLION), 1, DECIMALS + 1);
  }
}
