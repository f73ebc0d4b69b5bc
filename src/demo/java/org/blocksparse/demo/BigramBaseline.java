// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Arrays;

/**
 * An interpolated Kneser-Ney model of the next word given the one before, by counting.
 *
 * <pre>{@code
 * p(w | v) = max(n(v, w) - d, 0) / n(v)  +  d * kinds(v) / n(v) * p(w)
 * }</pre>
 *
 * <p>where kinds(v) counts the different words seen after v, and p(w) is the share of w in all
 * different pairs, smoothed in the same way by the uniform distribution. The discounts d are Ney's
 * estimate, n1 / (n1 + 2 n2), with n1 and n2 the number of things seen once and twice.
 */
final class BigramBaseline {
  private final long[] pairs; // the different (before, word), ascending
  private final int[] counts; // of each pair
  private final int[] occurrences; // of v as the word before
  private final int[] kindsAfter; // different words after v
  private final int[] kindsBefore; // different words before w
  private final double pairDiscount;
  private final double wordDiscount;
  private final long wordsSeen;

  BigramBaseline(int vocabularySize, int[] text) {
    long[] all = new long[text.length];
    int before = Corpus.END;
    for (int i = 0; i < text.length; i++) {
      all[i] = pair(before, text[i]);
      before = text[i];
    }
    Arrays.sort(all);
    pairs = Arrays.stream(all).distinct().toArray();
    counts = new int[pairs.length];
    occurrences = new int[vocabularySize];
    kindsAfter = new int[vocabularySize];
    kindsBefore = new int[vocabularySize];
    int next = 0;
    for (int p = 0; p < pairs.length; p++) {
      for (; next < all.length && all[next] == pairs[p]; next++) {
        counts[p]++;
      }
      int v = (int) (pairs[p] >>> 32);
      occurrences[v] += counts[p];
      kindsAfter[v]++;
      kindsBefore[(int) pairs[p]]++;
    }
    pairDiscount = discount(counts);
    wordDiscount = discount(kindsBefore);
    wordsSeen = Arrays.stream(kindsBefore).filter(n -> n > 0).count();
  }

  private static long pair(int before, int word) {
    return (long) before << 32 | word;
  }

  private static double discount(int[] counts) {
    long once = Arrays.stream(counts).filter(n -> n == 1).count();
    long twice = Arrays.stream(counts).filter(n -> n == 2).count();
    // Returns the discount. A tiny text may have no word seen once; any discount below one works
    // for it.
    return once == 0 ? 0.5 : once / (once + 2.0 * twice);
  }

  /** Returns the probability of {@code word} after {@code before}. */
  double probability(int before, int word) {
    double single =
        (Math.max(kindsBefore[word] - wordDiscount, 0)
                + wordDiscount * wordsSeen / kindsBefore.length)
            / pairs.length;
    if (occurrences[before] == 0) {
      return single;
    }
    int found = Arrays.binarySearch(pairs, pair(before, word));
    double counted = found < 0 ? 0 : Math.max(counts[found] - pairDiscount, 0);
    return (counted + pairDiscount * kindsAfter[before] * single) / occurrences[before];
  }

  /** Returns {@code exp} of the mean negative log probability of the words of {@code text}. */
  double perplexity(int[] text) {
    double sum = 0;
    int before = Corpus.END;
    for (int word : text) {
      sum -= Math.log(probability(before, word));
      before = word;
    }
    return Math.exp(sum / text.length);
  }
}
