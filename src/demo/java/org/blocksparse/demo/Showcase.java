// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.StringJoiner;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;

/**
 * Lets one see what a trained model knows: likely next words, sentences of its own, word classes.
 */
final class Showcase {
  private static final int LIKELY_WORDS = 5;
  private static final int SENTENCES = 6;
  private static final int LONGEST_SENTENCE = 40;
  private static final int CLASSES = 5;
  private static final int WORDS_OF_A_CLASS = 10;

  /**
   * Below 1, likely words are drawn more often than they are likely: fewer surprises, more sense.
   */
  private static final double TEMPERATURE = 0.7;

  private final LanguageModel model;
  private final Vocabulary vocabulary;
  private final PrintWriter out;

  Showcase(LanguageModel model, Vocabulary vocabulary, PrintWriter out) {
    this.model = model;
    this.vocabulary = vocabulary;
    this.out = out;
  }

  void printLikelyWords(List<String> prompts) {
    out.printf("%nThe most probable next words, of all %,d:%n", vocabulary.size());
    for (String prompt : prompts) {
      Ranking likely = model.likeliest(vocabulary.ids(Sentences.words(prompt)), LIKELY_WORDS);
      out.printf(
          "  %-30s %s   (exact, %d classes opened)%n",
          prompt + " ...", words(likely, vocabulary), likely.openedClasses(0));
    }
  }

  /** The words of a ranking with their probabilities, best first. */
  static String words(Ranking likely, Vocabulary vocabulary) {
    StringJoiner words = new StringJoiner(", ");
    for (int rank = 0; rank < likely.size(0); rank++) {
      words.add(
          "%s %.1f%%"
              .formatted(
                  vocabulary.word(likely.output(0, rank)), 100 * likely.probability(0, rank)));
    }
    return words.toString();
  }

  /** Words drawn one after the other, each given those before, until the end of a sentence. */
  void printSamples(long seed) {
    out.printf("%nSentences drawn from the model (temperature %s):%n", TEMPERATURE);
    RandomGenerator random = new SplittableRandom(seed);
    for (int i = 0; i < SENTENCES; i++) {
      int[] words = {};
      StringJoiner sentence = new StringJoiner(" ");
      while (words.length < LONGEST_SENTENCE) {
        int word = model.draw(words, TEMPERATURE, random);
        if (word == Vocabulary.UNKNOWN) {
          continue; // stands for thousands of words, none of which can be written
        }
        if (word == Vocabulary.END) {
          break;
        }
        words = Arrays.copyOf(words, words.length + 1);
        words[words.length - 1] = word;
        sentence.add(vocabulary.word(word));
      }
      out.printf("  %s%n", sentence);
    }
  }

  /** The most frequent words of a few classes. */
  void printClasses(ClassAssignment classes) {
    out.printf("%nSome of the %d word classes of the softmax:%n", classes.classCount());
    for (int i = 0; i < CLASSES; i++) {
      int c = (int) ((long) classes.classCount() * (2 * i + 1) / (2 * CLASSES));
      StringJoiner words = new StringJoiner(" ");
      IntStream.range(0, Math.min(classes.size(c), WORDS_OF_A_CLASS))
          .forEach(slot -> words.add(vocabulary.word(classes.output(c, slot))));
      out.printf("  %s%n", words);
    }
  }
}
