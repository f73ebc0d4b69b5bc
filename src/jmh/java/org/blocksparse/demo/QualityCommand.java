// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.softmax.ClassAssignment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * The cost in perplexity, for the demo's language model, of classes of words, of their number, and
 * of weights in fewer bits, of its softmax or of a mixture of experts.
 *
 * <pre>{@code
 * mvn -f src/jmh -Dbench.args="quality classes"
 * mvn -f src/jmh -Dbench.args="quality assignments --epochs 3"
 * mvn -f src/jmh -Dbench.args="quality bits --epochs 3"
 * mvn -f src/jmh -Dbench.args="quality experts --epochs 1"
 * }</pre>
 *
 * <p>The first has the shape of table 3 of Mikolov et al., "Extensions of recurrent neural network
 * language model" (2011), where speed is highest near the square root of the vocabulary.
 */
@Command(
    name = "quality",
    description =
        "Trains the demo's language model with other classes, or with weights of fewer bits.",
    sortOptions = false)
public final class QualityCommand implements Callable<Integer> {
  private static final List<Integer> CLASSES = List.of(10, 30, 100, 300, 1000, 3000);

  /** The varied setting. */
  enum Of {
    CLASSES,
    ASSIGNMENTS,
    BITS,
    EXPERTS
  }

  @Parameters(paramLabel = "WHAT", description = "What to vary: ${COMPLETION-CANDIDATES}.")
  private Of of;

  @Mixin private Settings settings;

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  @Spec private CommandSpec spec;

  private Corpus corpus;
  private Bigrams bigrams;
  private PrintWriter out;

  @Override
  public Integer call() {
    settings.complete();
    out = spec.commandLine().getOut();
    corpus =
        Corpus.of(
            settings.text == null ? Sentences.ofWordNet() : Sentences.ofFile(settings.text),
            settings.seed);
    int words = corpus.vocabulary().size();
    bigrams = new Bigrams(words, corpus.training());
    switch (of) {
      case CLASSES -> printNumbersOfClasses(words);
      case ASSIGNMENTS -> printAssignments(settings.classes(words));
      case BITS -> printBits(settings.classes(words));
      case EXPERTS -> printExperts(settings.classes(words));
    }
    out.flush();
    return 0;
  }

  /** From few classes to one for each word, which is the full softmax. */
  private void printNumbersOfClasses(int words) {
    printHeader();
    IntStream.concat(
            CLASSES.stream().mapToInt(Integer::intValue), IntStream.of(settings.classes(words)))
        .filter(classes -> classes < words)
        .sorted()
        .distinct()
        .forEach(
            classes -> printRow(classes + " classes", BigramClasses.of(corpus, bigrams, classes)));
    printRow("full softmax", ClassAssignment.contiguous(words, words));
  }

  private void printAssignments(int classes) {
    printHeader();
    for (WordClasses way : WordClasses.values()) {
      printRow(way.toString(), way.assign(corpus, bigrams, classes));
    }
  }

  private void printHeader() {
    out.printf(
        "%-16s %8s %8s %22s %12s %8s%n",
        "", "classes", "largest", "held-out perplexity", "words/s", "passes");
    out.flush();
  }

  private void printRow(String name, ClassAssignment classes) {
    try (LanguageModel model = new LanguageModel(settings, classes)) {
      LanguageModelTrainer.Result result = train(model, name);
      out.printf(
          "%-16s %8d %8d %22.1f %12.0f %8.2f%n",
          name,
          classes.classCount(),
          classes.slots(),
          result.perplexity(),
          result.wordsPerSecond(),
          (double) result.words() / corpus.training().length);
      out.flush();
    }
  }

  private void printBits(int classes) {
    Path folder = settings.output;
    try (LanguageModel model =
        new LanguageModel(settings, BigramClasses.of(corpus, bigrams, classes))) {
      train(model, "training");
      new NarrowWeights(model, corpus, folder).print(out);
    }
  }

  /** Rows are rounded as each type asks. */
  private void printExperts(int classes) {
    LanguageModel start = new LanguageModel(settings, BigramClasses.of(corpus, bigrams, classes));
    start.startFromFrequencies(corpus.training());
    try (ExpertsLearner model = new ExpertsLearner(settings, start)) {
      new LanguageModelTrainer(settings, corpus).train(model, "training", 1);
      double floats = model.perplexity(corpus.heldOut());
      for (ElementType type : ElementType.values()) {
        try (MixtureOfExperts narrow = model.experts().withWeights(type)) {
          double reached = model.perplexity(corpus.heldOut(), narrow);
          out.printf(
              "%-8s perplexity %.3f (%+.3f%%)%n", type, reached, 100 * (reached / floats - 1));
          out.flush();
        }
      }
    }
  }

  private LanguageModelTrainer.Result train(LanguageModel model, String name) {
    model.startFromFrequencies(corpus.training());
    return new LanguageModelTrainer(settings, corpus).train(model, name, 1);
  }
}
