// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.util.stream.Collectors.joining;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;

/** Shows what a trained model has learned: word classes, likely next words, sampled sentences. */
final class Showcase {
  private static final int CLASSES = 5;
  private static final int WORDS_OF_A_CLASS = 10;
  private static final int PROMPTS = 6;
  private static final int WORDS_OF_A_PROMPT = 3;
  private static final int LIKELY_WORDS = 5;
  private static final int SENTENCES = 6;
  private static final int MAX_LENGTH = 40;

  /** Below 1, probable words are drawn more often: fewer surprises, more sense. */
  private static final double TEMPERATURE = 0.7;

  private final LanguageModel model;
  private final PrintWriter out;

  Showcase(LanguageModel model, PrintWriter out) {
    this.model = model;
    this.out = out;
  }

  private String sentence(IntStream words) {
    return words.mapToObj(model.softmax().labels()::name).collect(joining(" "));
  }

  /** Prints the most frequent words of a few classes. */
  void printClasses() {
    ClassAssignment classes = model.softmax().assignment();
    out.printf("%nSome of the %d word classes of the softmax:%n", classes.classCount());
    for (int i = 0; i < CLASSES; i++) {
      int c = (int) ((long) classes.classCount() * (2 * i + 1) / (2 * CLASSES));
      out.println(
          "  "
              + sentence(
                  IntStream.range(0, Math.min(classes.size(c), WORDS_OF_A_CLASS))
                      .map(slot -> classes.output(c, slot))));
    }
  }

  void printLikelyWords(Corpus corpus) {
    out.printf("%nThe most probable next words, of all %,d:%n", model.softmax().outputs());
    for (int[] prompt : corpus.beginnings(PROMPTS, WORDS_OF_A_PROMPT)) {
      Ranking likely = model.likeliest(prompt, LIKELY_WORDS);
      out.printf(
          "  %-30s %s   (exact, %d classes opened)%n",
          sentence(IntStream.of(prompt)) + " ...", words(likely), likely.openedClasses(0));
    }
  }

  /** Returns the words of a ranking with their probabilities, best first. */
  static String words(Ranking likely) {
    return IntStream.range(0, likely.size(0))
        .mapToObj(r -> "%s %.1f%%".formatted(likely.label(0, r), 100 * likely.probability(0, r)))
        .collect(joining(", "));
  }

  /** Prints sentences of words drawn one after the other, each given those before. */
  void printSentences(RandomGenerator random) {
    out.printf("%nSentences drawn from the model (temperature %s):%n", TEMPERATURE);
    for (int i = 0; i < SENTENCES; i++) {
      int[] words = {};
      while (words.length < MAX_LENGTH) {
        int word = model.draw(words, TEMPERATURE, random);
        if (word == Corpus.END) {
          break;
        }
        words = Arrays.copyOf(words, words.length + 1);
        words[words.length - 1] = word;
      }
      out.println("  " + sentence(IntStream.of(words)));
    }
  }
}
