// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.blocksparse.softmax.ClassAssignment;
import org.knowm.xchart.XYChart;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The demo's language model, and the same with a full softmax in PyTorch, each trained for as long
 * on the same text: how many words each learns from, and how good it becomes.
 *
 * <pre>{@code
 * mvn -f src/jmh -Dbench.args="language-model"
 * mvn -f src/jmh -Dbench.args="language-model --quick"
 * }</pre>
 */
@Command(
    name = "language-model",
    mixinStandardHelpOptions = true,
    description =
        "Trains the demo's language model, and the same model with a full softmax in PyTorch.")
public final class LanguageModelCommand implements Callable<Integer> {
  /** How often each is measured, at moments that are equally far from each other. */
  static final int POINTS = 12;

  /** Words that they are measured on, the first that were held out: all would take PyTorch long. */
  private static final int HELD_OUT = 20_000;

  private static final int SECONDS = 300;
  private static final int SECONDS_OF_QUICK = 60;

  @Option(names = "--quick", description = "Train each model for a minute.")
  private boolean quick;

  @Option(
      names = "--seconds",
      description =
          "Training time per model in seconds, without evaluation. Default: 300, or 60 with"
              + " --quick.")
  private Integer seconds;

  @Option(
      names = "--out",
      defaultValue = "target/bench",
      description = "The folder to write language-model.png to. Default: ${DEFAULT-VALUE}.")
  private Path out;

  @Override
  public Integer call() {
    Settings settings = CommandLine.populateCommand(new Settings());
    settings.seconds = seconds != null ? seconds : quick ? SECONDS_OF_QUICK : SECONDS;
    settings.complete();
    System.out.printf(
        "Trains two models for %d seconds each, and measures them %d times: about %d minutes%n",
        settings.seconds, POINTS, 2 + 2 * settings.seconds / 60);
    compare(settings, Corpus.of(Sentences.ofWordNet(), settings.seed), out, System.out);
    return 0;
  }

  /** Trains both, prints a table and draws a chart. */
  static void compare(Settings settings, Corpus corpus, Path folder, PrintStream out) {
    int words = corpus.vocabulary().size();
    long began = System.nanoTime();
    Bigrams bigrams = new Bigrams(words, corpus.training());
    ClassAssignment classes = BigramClasses.of(corpus, bigrams, settings.classes(words));
    double secondsOfClasses = (System.nanoTime() - began) * 1e-9;
    int[] heldOut = Arrays.copyOf(corpus.heldOut(), Math.min(HELD_OUT, corpus.heldOut().length));
    LanguageModelTrainer.Result ours;
    try (LanguageModel model = model(settings, corpus, classes)) {
      ours =
          new LanguageModelTrainer(settings, corpus, heldOut).train(model, "blocksparse", POINTS);
    }
    LanguageModelTrainer.Result theirs;
    ClassAssignment full = ClassAssignment.contiguous(words, words);
    try (LanguageModel start = model(settings, corpus, full);
        PyTorchLearner model = new PyTorchLearner(settings, start)) {
      theirs = new LanguageModelTrainer(settings, corpus, heldOut).train(model, "PyTorch", POINTS);
    }
    printTable(ours.curve(), theirs.curve(), settings.seconds, out);
    out.printf(
        Locale.ROOT,
        "%n%,.0f and %,.0f words per second; the %d classes of the first took %.1f s before; Java"
            + " %s%n",
        ours.wordsPerSecond(),
        theirs.wordsPerSecond(),
        classes.classCount(),
        secondsOfClasses,
        Runtime.version());
    DemoCharts charts = new DemoCharts(folder);
    XYChart chart = DemoCharts.chart("The same text, learned as long", "seconds", "perplexity");
    addTo(chart, "blocksparse, held out", ours);
    addTo(chart, "PyTorch with a full softmax, held out", theirs);
    out.printf("Written: %s%n", charts.write(chart, "language-model.png"));
  }

  private static void printTable(
      List<LanguageModelTrainer.Point> ours,
      List<LanguageModelTrainer.Point> theirs,
      int seconds,
      PrintStream out) {
    out.printf("| seconds | blocksparse: words | perplexity | PyTorch: words | perplexity |%n");
    out.printf("|---|---|---|---|---|%n");
    for (int p = 0; p < Math.min(ours.size(), theirs.size()); p++) {
      LanguageModelTrainer.Point our = ours.get(p);
      LanguageModelTrainer.Point their = theirs.get(p);
      out.printf(
          Locale.ROOT,
          "| %.0f | %,d | %.1f | %,d | %.1f |%n",
          (p + 1.0) * seconds / POINTS,
          our.words(),
          our.heldOut(),
          their.words(),
          their.heldOut());
    }
  }

  private static LanguageModel model(Settings settings, Corpus corpus, ClassAssignment classes) {
    LanguageModel model = new LanguageModel(settings, classes);
    model.startFromFrequencies(corpus.training());
    return model;
  }

  private static void addTo(XYChart chart, String name, LanguageModelTrainer.Result result) {
    chart.addSeries(
        name,
        result.curve().stream().mapToDouble(LanguageModelTrainer.Point::seconds).toArray(),
        result.curve().stream().mapToDouble(LanguageModelTrainer.Point::heldOut).toArray());
  }
}
