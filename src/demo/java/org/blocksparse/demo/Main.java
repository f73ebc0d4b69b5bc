// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.blocksparse.Backend;
import org.blocksparse.softmax.ClassAssignment;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The main job: a next-word model of real text, trained and shown within a minute. */
@Command(
    name = "demo",
    customSynopsis = "mvn -Pdemo [-Ddemo.args=\"OPTIONS\"]",
    description = {
      "",
      "Trains a model that predicts the next word, with a softmax over the whole vocabulary,",
      "and compares it with a bigram model (word counts) and with a full softmax.",
      ""
    },
    subcommands = {Predict.class, HelpCommand.class},
    sortOptions = false,
    usageHelpWidth = 100)
public final class Main implements Callable<Integer> {
  private static final int EVALUATIONS_PER_EPOCH = 4;

  /** Time per word: in an epoch of the default model, and for counting and evaluation. */
  private static final double MICROS_OF_TRAINING = 5;

  private static final double MICROS_OF_THE_REST = 9;

  private static final int PROMPTS = 6;
  private static final int WORDS_OF_A_PROMPT = 3;

  private static final String[][] WAYS_ON = {
    {"predict", "type the beginning of a sentence, and see how the model goes on"},
    {"--text FILE", "learn a text of your own, one sentence a line"},
    {"--help", "all options"},
  };

  @Mixin private Settings settings;

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  @Spec private CommandSpec spec;

  private PrintWriter out;

  private Main() {}

  /** Exits with 0, or with 2 and one line on standard error if the input is of no use. */
  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT); // what is printed is English, its numbers included
    int code = commandLine().execute(args);
    if (code != ExitCode.OK) {
      System.exit(code);
    }
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler((e, args) -> refuse(e.getCommandLine(), e.getMessage()))
        .setExecutionExceptionHandler(
            (e, command, result) -> {
              if (e instanceof UsageException) {
                return refuse(command, e.getMessage());
              }
              throw e;
            });
  }

  private static int refuse(CommandLine command, String message) {
    command.getErr().println(message.lines().findFirst().orElse("invalid input"));
    return ExitCode.USAGE;
  }

  @Override
  public Integer call() {
    settings.complete();
    out = spec.commandLine().getOut();
    Corpus corpus =
        Corpus.of(
            settings.text == null ? Sentences.ofWordNet() : Sentences.ofFile(settings.text),
            settings.seed);
    int words = corpus.vocabulary().size();
    out.printf(
        "Trains on %,d words: %s on two free processors%n", corpus.training().length, time(corpus));
    out.flush();
    Bigrams bigrams = new Bigrams(words, corpus.training());
    double baseline = new BigramBaseline(words, bigrams).perplexity(corpus.heldOut());

    out.printf(
        "%s: %,d words to learn, %,d held out, vocabulary of %,d%n",
        settings.text == null ? "The definitions of WordNet 3.1" : settings.text,
        corpus.training().length,
        corpus.heldOut().length,
        words);
    out.printf(
        "Kernels: %s (%s), %s%n",
        Backend.isNative() ? "native" : "Java", Backend.instructionSet(), settings.workers());
    out.printf("Perplexity by counting (interpolated Kneser-Ney bigram): %.1f%n", baseline);
    out.flush();

    DemoCharts charts = new DemoCharts(settings.output);
    train(corpus, BigramClasses.of(corpus, bigrams, settings.classes(words)), baseline, charts);
    out.flush();
    return ExitCode.OK;
  }

  /** About how long it takes, by what it took on the definitions of WordNet. */
  private String time(Corpus corpus) {
    double training =
        settings.seconds != null
            ? settings.seconds
            : MICROS_OF_TRAINING * 1e-6 * settings.epochs * corpus.training().length;
    double seconds = training + MICROS_OF_THE_REST * 1e-6 * corpus.training().length;
    return seconds < 90
        ? "about %.0f seconds".formatted(10 * Math.ceil(seconds / 10))
        : "about %.0f minutes".formatted(Math.ceil(seconds / 60));
  }

  private void train(Corpus corpus, ClassAssignment classes, double baseline, DemoCharts charts) {
    try (LanguageModel model = new LanguageModel(settings, classes)) {
      out.printf("Model: %s%n", model);
      out.flush();
      model.startFromFrequencies(corpus.training());
      LanguageModelTrainer.Result result =
          new LanguageModelTrainer(settings, corpus)
              .train(model, "training", EVALUATIONS_PER_EPOCH * settings.epochs);
      out.printf(
          "%nHeld-out perplexity: %.1f, by counting %.1f: %s%n",
          result.perplexity(),
          baseline,
          result.perplexity() < baseline ? "the model wins" : "the model does not win");
      out.printf(
          "Trained on %,d words in %d s: %,.0f words per second%n",
          result.words(), result.training().toSeconds(), result.wordsPerSecond());
      out.flush();

      new SoftmaxTiming(settings, corpus).print(classes, out);
      Showcase showcase = new Showcase(model, corpus.vocabulary(), out);
      showcase.printClasses(classes);
      showcase.printLikelyWords(
          settings.prompts.isEmpty()
              ? corpus.heldOutBeginnings(PROMPTS, WORDS_OF_A_PROMPT)
              : settings.prompts);
      showcase.printSamples(settings.seed);
      written(charts.learningCurve(result.curve(), baseline));
      written(ModelFolder.save(model, corpus, settings.output.resolve("model")));
    }
    out.printf("%nTo go on:%n");
    for (String[] way : WAYS_ON) {
      out.printf("  mvn -Pdemo -Ddemo.args=\"%s\"%n      %s%n", way[0], way[1]);
    }
  }

  private void written(Path file) {
    out.printf("%nWritten: %s%n", file);
  }
}
