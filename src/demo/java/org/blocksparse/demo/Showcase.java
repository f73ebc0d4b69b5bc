// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.StringJoiner;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.ClassAssignment;

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
    out.printf("%nThe most probable next words:%n");
    for (String prompt : prompts) {
      float[] probabilities = model.probabilities(vocabulary.ids(Sentences.words(prompt)));
      StringJoiner likely = new StringJoiner(", ");
      IntStream.range(0, probabilities.length)
          .boxed()
          .sorted((a, b) -> Float.compare(probabilities[b], probabilities[a]))
          .limit(LIKELY_WORDS)
          .forEach(
              id ->
                  likely.add("%s %.1f%%".formatted(vocabulary.word(id), 100 * probabilities[id])));
      out.printf("  %-24s %s%n", prompt + " ...", likely);
    }
  }

  /** Words drawn one after the other, each given those before, until the end of a sentence. */
  void printSamples(long seed) {
    out.printf("%nSentences drawn from the model (temperature %s):%n", TEMPERATURE);
    RandomGenerator random = new SplittableRandom(seed);
    for (int i = 0; i < SENTENCES; i++) {
      int[] words = {};
      StringJoiner sentence = new StringJoiner(" ");
      while (words.length < LONGEST_SENTENCE) {
        int word = draw(model.probabilities(words), random);
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

  /** A word at random; never the one that stands for all unknown words. */
  private static int draw(float[] probabilities, RandomGenerator random) {
    double[] weights = new double[probabilities.length];
    double sum = 0;
    for (int id = 0; id < weights.length; id++) {
      weights[id] = id == Vocabulary.UNKNOWN ? 0 : Math.pow(probabilities[id], 1 / TEMPERATURE);
      sum += weights[id];
    }
    double left = random.nextDouble() * sum;
    int id = 0;
    while (id < weights.length - 1 && (left -= weights[id]) >= 0) {
      id++;
    }
    return id;
  }

  /** The most frequent words of a few classes. */
  void printClasses(ClassAssignment classes) {
    out.printf("%nSome of the %d word classes of the softmax:%n", classes.classes());
    for (int i = 0; i < CLASSES; i++) {
      int c = (int) ((long) classes.classes() * (2 * i + 1) / (2 * CLASSES));
      StringJoiner words = new StringJoiner(" ");
      IntStream.range(0, Math.min(classes.size(c), WORDS_OF_A_CLASS))
          .forEach(slot -> words.add(vocabulary.word(classes.output(c, slot))));
      out.printf("  %s%n", words);
    }
  }
}
