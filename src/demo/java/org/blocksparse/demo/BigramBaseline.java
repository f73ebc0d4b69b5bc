// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Arrays;

/**
 * Counting as the baseline: an interpolated Kneser-Ney model of the next word given the one before.
 * A trained model must beat it to be worth anything.
 *
 * <pre>{@code
 * p(w | v) = max(n(v, w) - d, 0) / n(v)  +  d * kinds(v) / n(v) * p(w)
 * }</pre>
 *
 * <p>where kinds(v) counts the different words seen after v, and p(w) is the share of w in all
 * different pairs: a word that was seen after many others is likely after a new one. p(w) is
 * smoothed in the same way by the uniform distribution. The discounts d are Ney's estimate, n1 /
 * (n1 + 2 n2), with n1 and n2 the number of things seen once and twice.
 */
final class BigramBaseline {
  private final Bigrams bigrams;
  private final int vocabularySize;
  private final int[] occurrences; // of v as the word before
  private final int[] kindsAfter; // different words after v
  private final int[] kindsBefore; // different words before w
  private final double pairDiscount;
  private final double wordDiscount;
  private final long wordsSeen;

  BigramBaseline(int vocabularySize, Bigrams bigrams) {
    this.bigrams = bigrams;
    this.vocabularySize = vocabularySize;
    occurrences = new int[vocabularySize];
    kindsAfter = new int[vocabularySize];
    kindsBefore = new int[vocabularySize];
    int[] counts = new int[bigrams.size()];
    for (int pair = 0; pair < counts.length; pair++) {
      counts[pair] = bigrams.count(pair);
      occurrences[bigrams.before(pair)] += counts[pair];
      kindsAfter[bigrams.before(pair)]++;
      kindsBefore[bigrams.word(pair)]++;
    }
    pairDiscount = discount(counts);
    wordDiscount = discount(kindsBefore);
    wordsSeen = Arrays.stream(kindsBefore).filter(n -> n > 0).count();
  }

  private static double discount(int[] counts) {
    long once = Arrays.stream(counts).filter(n -> n == 1).count();
    long twice = Arrays.stream(counts).filter(n -> n == 2).count();
    // A tiny text may hold nothing that was seen once; any discount below one will do for it.
    return once == 0 ? 0.5 : once / (once + 2.0 * twice);
  }

  /** The probability of {@code word} after {@code before}. */
  double probability(int before, int word) {
    double smoothed = probability(word);
    if (occurrences[before] == 0) {
      return smoothed;
    }
    double counted = Math.max(bigrams.count(before, word) - pairDiscount, 0);
    return (counted + pairDiscount * kindsAfter[before] * smoothed) / occurrences[before];
  }

  private double probability(int word) {
    double counted = Math.max(kindsBefore[word] - wordDiscount, 0);
    return (counted + wordDiscount * wordsSeen / vocabularySize) / bigrams.size();
  }

  /** {@code exp} of the mean negative log probability of the words of {@code text}. */
  double perplexity(int[] text) {
    double sum = 0;
    int before = Vocabulary.END;
    for (int word : text) {
      sum -= Math.log(probability(before, word));
      before = word;
    }
    return Math.exp(sum / text.length);
  }
}
