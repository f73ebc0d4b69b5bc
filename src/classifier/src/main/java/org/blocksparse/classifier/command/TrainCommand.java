// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ForkJoinPool;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Example;
import org.blocksparse.classifier.InvalidInputException;
import org.blocksparse.classifier.TrainingOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Trains a model and saves it. */
@Command(
    name = "train",
    description = {
      "Trains a model on examples, one on each line.",
      "Ctrl-C ends the training, and the best model so far is saved."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class TrainCommand implements Callable<Integer> {
  @Parameters(paramLabel = "FILE", description = "Examples; - is standard input. May be gzipped.")
  private String file;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "MODEL",
      required = true,
      description = "Where the model is written.")
  private Path output;

  @Option(
      names = "--validation",
      paramLabel = "FILE",
      description = "Examples to measure on after each epoch; the best model is kept.")
  private String validation;

  @Option(
      names = "--patience",
      paramLabel = "N",
      defaultValue = "3",
      description =
          "End after N epochs without a better one, by --validation (default: ${DEFAULT-VALUE}).")
  private int patience;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Passes over the examples; by default 3 to 40, by their number and labels.")
  private Integer epochs;

  @Option(names = "--rate", paramLabel = "R", description = "How large the first steps are (0.2).")
  private Double rate;

  @Option(
      names = "--smoothing",
      paramLabel = "S",
      description = "Share of each label that is taken to be any label (0.1).")
  private Double smoothing;

  @Option(names = "--dimension", paramLabel = "N", description = "Size of vectors (64).")
  private Integer dimension;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Examples in a step; by default 16 to 1024, by their number.")
  private Integer batch;

  @Option(
      names = "--word-ngrams",
      paramLabel = "N",
      description = "Features are words, and up to N words in a row (2).")
  private Integer wordNgrams;

  @Option(
      names = "--plain-words",
      description = "Words are what white space separates, and nothing else is made of a text.")
  private boolean plainWords;

  @Option(
      names = "--min-count",
      paramLabel = "N",
      description = "Leave out features that occur less often (1; 2 if there are many).")
  private Integer minCount;

  @Option(
      names = "--max-features",
      paramLabel = "N",
      description = "Keep the N most frequent features (1000000, which is the most).")
  private Integer maxFeatures;

  @Option(
      names = "--shared-rows",
      paramLabel = "N",
      description = "Hash all features into N rows, instead of keeping a row for each.")
  private Integer sharedRows;

  @Option(
      names = "--classes",
      paramLabel = "N",
      description =
          "Classes of labels; by default 1 for up to 1024 or few examples, else what is fastest.")
  private Integer classes;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Equal seeds give equal models (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(names = "--threads", paramLabel = "N", description = "By default one per processor.")
  private Integer threads;

  @Option(
      names = "--chart",
      paramLabel = "PNG",
      description = "Where the learning curve is drawn; by default beside the model.")
  private Path chart;

  @Option(names = "--no-chart", description = "Draw no learning curve.")
  private boolean noChart;

  @Mixin private InputOptions input;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    // Hours of training must not be lost to a folder that is not there.
    WritableFile.require("--output", output);
    requireOther(file);
    if (validation != null) {
      requireOther(validation);
    }
    if (chart != null) {
      WritableFile.require("--chart", chart);
    }
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    long began = System.nanoTime();
    TrainingOptions options = options(err);
    try (CtrlC ctrlC = new CtrlC();
        TrainingLog log = new TrainingLog(out, err, began);
        Input examples = input.open(file, "reading", err);
        Classifier classifier =
            Classifier.train(
                examples.examples().peek(log::read),
                options.withListener(log).withStop(ctrlC::isPressed))) {
      log.close();
      classifier.save(output);
      out.printf(
          "%s: %,d bytes%s%n",
          output, Files.size(output), ctrlC.isPressed() ? ", the best model so far" : "");
      drawChart(log, out, err);
    }
    tellWaysOn(out);
    out.flush();
    return ExitCode.OK;
  }

  /** The model must not be written over examples. */
  private void requireOther(String examples) throws IOException {
    if (!InputOptions.isStandardInput(examples)
        && Files.exists(output)
        && Files.exists(Path.of(examples))
        && Files.isSameFile(output, Path.of(examples))) {
      throw new InvalidInputException(
          "--output: expected another file than that of the examples but was " + output);
    }
  }

  private TrainingOptions options(PrintWriter err) throws IOException {
    TrainingOptions options = TrainingOptions.defaults().withSeed(seed);
    options = epochs == null ? options : options.withEpochs(epochs);
    options = rate == null ? options : options.withRate(rate);
    options = smoothing == null ? options : options.withSmoothing(smoothing);
    options = dimension == null ? options : options.withDimension(dimension);
    options = batch == null ? options : options.withBatch(batch);
    options = wordNgrams == null ? options : options.withWordNgrams(wordNgrams);
    options = plainWords ? options.withPlainWords() : options;
    options = minCount == null ? options : options.withMinCount(minCount);
    options = maxFeatures == null ? options : options.withMaxFeatures(maxFeatures);
    options = sharedRows == null ? options : options.withSharedRows(sharedRows);
    options = classes == null ? options : options.withClasses(classes);
    if (threads != null) {
      Limits.require("--threads", threads, 1, Integer.MAX_VALUE);
    }
    options =
        threads == null
            ? options
            : options.withWorkers(Workers.of(ForkJoinPool.commonPool(), threads));
    if (validation != null) {
      try (Input others = input.open(validation, "reading " + validation, err)) {
        List<Example> examples = others.examples().toList();
        if (examples.stream().allMatch(example -> example.labels().isEmpty())) {
          throw new InvalidInputException(validation + ": no example has a label");
        }
        options = options.withValidation(examples, patience);
      }
    }
    return options;
  }

  private void drawChart(TrainingLog log, PrintWriter out, PrintWriter err) {
    if (noChart || log.points().size() < 2) {
      return;
    }
    Path png = chart != null ? chart : output.resolveSibling(output.getFileName() + ".png");
    try {
      LearningCurve.draw(log.points(), png);
      out.printf("%s: the learning curve%n", png);
    } catch (IOException | LinkageError e) { // there is no font, for instance
      err.printf("No chart: %s%n", e);
    }
  }

  private void tellWaysOn(PrintWriter out) {
    out.printf("%nTo go on:%n");
    out.printf("  test %s FILE        precision, recall and nDCG on other examples%n", output);
    out.printf("  predict %s          labels for each line of standard input%n", output);
    out.printf("  latency %s FILE     how long predictions take%n", output);
    out.printf("  quantize %s OUT     a smaller model, nearly as good%n", output);
    if (validation == null) {
      out.printf(
          "  train --validation FILE   measure on other examples, and keep the best model%n");
    }
  }
}
