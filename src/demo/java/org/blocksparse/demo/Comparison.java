// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.ClassAssignment;

/**
 * Trains the same model with several softmax layers, for the same epochs or as long, and prints
 * what each reaches: the shape of table 3 of Mikolov et al., "Extensions of recurrent neural
 * network language model" (2011), where speed is highest near the square root of the vocabulary.
 */
final class Comparison {
  private static final List<Integer> CLASSES = List.of(10, 30, 100, 300, 1000, 3000);

  /** What one softmax layer reached. */
  record Row(String name, int classes, double perplexity, double wordsPerSecond) {}

  private final Settings settings;
  private final Corpus corpus;
  private final Bigrams bigrams;
  private final PrintWriter out;

  Comparison(Settings settings, Corpus corpus, Bigrams bigrams, PrintWriter out) {
    this.settings = settings;
    this.corpus = corpus;
    this.bigrams = bigrams;
    this.out = out;
  }

  /** From few classes to one for each word, which is the full softmax. */
  List<Row> numbersOfClasses() {
    int words = corpus.vocabulary().size();
    int[] numbers =
        IntStream.concat(
                CLASSES.stream().mapToInt(Integer::intValue), IntStream.of(settings.classes(words)))
            .filter(classes -> classes < words)
            .sorted()
            .distinct()
            .toArray();
    begin("numbers of classes, up to a full softmax", numbers.length + 1, true);
    List<Row> rows = new ArrayList<>();
    for (int classes : numbers) {
      rows.add(row(classes + " classes", settings.assignment.assign(corpus, bigrams, classes)));
    }
    rows.add(row("full softmax", ClassAssignment.contiguous(words, words)));
    return rows;
  }

  /** All ways in which words come to classes. */
  List<Row> assignments() {
    int classes = settings.classes(corpus.vocabulary().size());
    begin("ways to put words into classes", WordClasses.values().length, false);
    List<Row> rows = new ArrayList<>();
    for (WordClasses way : WordClasses.values()) {
      rows.add(row(way.toString(), way.assign(corpus, bigrams, classes)));
    }
    return rows;
  }

  private void begin(String what, int models, boolean withFull) {
    out.printf(
        "Compares %s: %d models, %s on two free processors%n",
        what, models, Estimate.of(settings, corpus, models, withFull));
    out.printf(
        "%n%-16s %8s %8s %22s %12s %8s%n",
        "", "classes", "largest", "held-out perplexity", "words/s", "passes");
  }

  private Row row(String name, ClassAssignment classes) {
    try (LanguageModel model = new LanguageModel(settings, classes)) {
      model.startFromFrequencies(corpus.training());
      Trainer.Result result = new Trainer(settings, corpus).train(model, name, 1);
      Row row = new Row(name, classes.classCount(), result.perplexity(), result.wordsPerSecond());
      out.printf(
          "%-16s %8d %8d %22.1f %12.0f %8.2f%n",
          name,
          row.classes(),
          classes.slots(),
          row.perplexity(),
          row.wordsPerSecond(),
          (double) result.words() / corpus.training().length);
      out.flush();
      return row;
    }
  }
}
