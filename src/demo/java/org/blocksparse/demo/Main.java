// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.Backend;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Trains a language model on real text, and shows it. */
@Command(
    name = "demo",
    customSynopsis = "mvn -f src/demo [-Ddemo.args=\"OPTIONS\"]",
    description = {
      "Trains a model that predicts the next word, with a softmax over the whole vocabulary,",
      "and compares it with a bigram model (word counts) and with a full softmax."
    },
    mixinStandardHelpOptions = true,
    subcommands = Predict.class,
    usageHelpWidth = 100)
public final class Main implements Callable<Integer> {
  private static final long SEED = 1;

  /** The timed steps of the full softmax, and of the other one for each of them. */
  private static final int TIMED = 5;

  private static final int FASTER = 20;

  @Option(
      names = "--text",
      paramLabel = "FILE",
      description = "UTF-8 text to learn, one sentence a line (default: WordNet's definitions).")
  private Path text;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      defaultValue = "1",
      description = "Passes over the training words (default: ${DEFAULT-VALUE}).")
  private int epochs;

  @Option(
      names = "--classes",
      paramLabel = "N",
      description =
          "Classes of words (default: twice the square root of the vocabulary); as many as words"
              + " are a full softmax.")
  private Integer classes;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      defaultValue = Predict.MODEL,
      description = "Where the model is saved (default: ${DEFAULT-VALUE}).")
  private Path output;

  @Spec private CommandSpec spec;

  private final RandomGenerator random = new SplittableRandom(SEED);
  private PrintWriter out;

  private Main() {}

  /** Exits with 0, or with 2 and one line on standard error if the input is invalid. */
  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT); // output is English, including its numbers
    int code = commandLine().execute(args);
    if (code != ExitCode.OK) {
      System.exit(code);
    }
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setParameterExceptionHandler((e, args) -> refuse(e.getCommandLine(), e.getMessage()))
        .setExecutionExceptionHandler(
            (e, command, result) -> {
              if (e instanceof IOException || e instanceof UncheckedIOException) {
                return refuse(command, e.toString());
              }
              if (e instanceof IllegalArgumentException) {
                return refuse(command, e.getMessage());
              }
              throw e;
            });
  }

  private static int refuse(CommandLine command, String why) {
    command.getErr().println(why);
    return ExitCode.USAGE;
  }

  @Override
  public Integer call() throws IOException {
    out = spec.commandLine().getOut();
    Corpus corpus = Corpus.of(text == null ? Sentences.ofWordNet() : Sentences.ofFile(text), SEED);
    int words = corpus.vocabulary().size();
    print(
        "%s: %,d words to learn, %,d held out, vocabulary of %,d",
        text == null ? "The definitions of WordNet 3.1" : text,
        corpus.training().length,
        corpus.heldOut().length,
        words);
    print(
        "Kernels: %s (%s), %s",
        Backend.isNative() ? "native" : "Java", Backend.instructionSet(), Workers.common());
    double counted = new BigramBaseline(words, corpus.training()).perplexity(corpus.heldOut());
    print("Held-out perplexity by counting (interpolated Kneser-Ney bigram): %.1f", counted);

    int count = classes != null ? classes : (int) Math.min(words, Math.ceil(2 * Math.sqrt(words)));
    ClassAssignment assignment = LanguageModel.classes(corpus, count);
    try (LanguageModel model = LanguageModel.of(corpus, assignment)) {
      print("Model: %s%n       %s", model.bag(), model.softmax());
      train(model, corpus);
      printTimes(corpus, assignment);
      Showcase showcase = new Showcase(model, out);
      showcase.printClasses();
      showcase.printLikelyWords(corpus);
      showcase.printSentences(random);
      Files.createDirectories(output.toAbsolutePath().getParent());
      model.save(output);
    }
    print("%nWritten: %s. To type beginnings of sentences, and see how the model goes on:", output);
    print("  mvn -f src/demo -Ddemo.args=\"predict\"");
    return ExitCode.OK;
  }

  private void print(String format, Object... arguments) {
    out.printf(format + "%n", arguments);
    out.flush();
  }

  private void train(LanguageModel model, Corpus corpus) {
    int[] words = corpus.training();
    int[] positions = IntStream.range(0, words.length).toArray();
    long nanos = 0;
    for (int epoch = 0; epoch < epochs; epoch++) {
      shuffle(positions);
      double loss = 0;
      long started = System.nanoTime();
      for (int begin = 0; begin < words.length; begin += LanguageModel.BATCH) {
        int[] batch =
            Arrays.copyOfRange(
                positions, begin, Math.min(begin + LanguageModel.BATCH, words.length));
        loss += batch.length * model.step(words, batch);
      }
      nanos += System.nanoTime() - started;
      print(
          "Epoch %d of %d: training perplexity %.1f, held out %.1f; %,.0f words per second",
          epoch + 1,
          epochs,
          Math.exp(loss / words.length),
          model.perplexity(corpus.heldOut()),
          (epoch + 1) * 1e9 * words.length / nanos);
    }
  }

  private void shuffle(int[] values) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
  }

  /** Prints the times of a step with two levels and with a full softmax, in turns. */
  private void printTimes(Corpus corpus, ClassAssignment classes) {
    int words = classes.outputs();
    double[] fast = new double[TIMED * FASTER];
    double[] slow = new double[TIMED];
    try (LanguageModel twoLevels = LanguageModel.of(corpus, classes);
        LanguageModel full = LanguageModel.of(corpus, LanguageModel.classes(corpus, words))) {
      seconds(full, corpus);
      for (int i = 0; i < fast.length; i++) {
        fast[i] = seconds(twoLevels, corpus);
        if (i % FASTER == 0) {
          slow[i / FASTER] = seconds(full, corpus);
        }
      }
    }
    print(
        "A step of %d words: %.1f ms; with a full softmax %.1f ms, %.0f times as long",
        LanguageModel.BATCH, 1e3 * median(fast), 1e3 * median(slow), median(slow) / median(fast));
  }

  private double seconds(LanguageModel model, Corpus corpus) {
    int[] batch = random.ints(LanguageModel.BATCH, 0, corpus.training().length).toArray();
    long started = System.nanoTime();
    model.step(corpus.training(), batch);
    return (System.nanoTime() - started) * 1e-9;
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
