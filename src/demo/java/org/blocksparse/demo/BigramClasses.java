// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Arrays;
import org.blocksparse.softmax.ClassAssignment;

/**
 * Classes of words that suit a two-level softmax, found by exchange: each word in turn moves to the
 * class in which the text becomes most likely, until few words move.
 *
 * <p>"Likely" is by the two-level softmax that sees only the word before, p(class(w) | v) * p(w |
 * class(w)), with both factors as counted. Its log likelihood, up to what no move changes, is
 *
 * <pre>{@code
 * sum over v, c of n(v, c) log n(v, c)  -  sum over c of n(c) log n(c)
 * }</pre>
 *
 * <p>with n(v, c) how often a word of class c comes after v. Moving one word changes only the terms
 * of the words before it and of two classes. A sweep costs (different pairs) * (classes) steps.
 * This is the one-sided exchange of Uszkoreit and Brants (2008), with a limit to the size of a
 * class.
 */
final class BigramClasses {
  private static final int MOST_SWEEPS = 10;

  /**
   * The largest class in multiples of the average. Larger classes are slightly better to predict,
   * and cost memory and time, as all classes take the room of the largest.
   */
  private static final double CAPACITY = 1.5;

  /** Of a class after a word; there is one for each class and word. */
  private static final long MOST_COUNTS = 1L << 28;

  private final Bigrams bigrams;
  private final int words;
  private final int classes;
  private final int[] classOf;
  private final int[] size; // words in each class
  private final int[] occurrences; // of each class
  private final int[] after; // [v * classes + c]: n(v, c)
  private final double[] nLogN;
  private final double[] gain;

  private BigramClasses(int words, Bigrams bigrams, int textLength, int classes) {
    this.bigrams = bigrams;
    this.words = words;
    this.classes = classes;
    classOf = new int[words];
    size = new int[classes];
    occurrences = new int[classes];
    after = new int[Math.multiplyExact(words, classes)];
    gain = new double[classes];
    nLogN = new double[textLength + 1];
    for (int n = 1; n <= textLength; n++) {
      nLogN[n] = n * Math.log(n);
    }
    for (int word = 0; word < words; word++) {
      join(word, word % classes);
    }
  }

  /** The words of a corpus in that many classes. */
  static ClassAssignment of(Corpus corpus, Bigrams bigrams, int classes) {
    int words = corpus.vocabulary().size();
    if ((long) words * classes > MOST_COUNTS) {
      throw new UsageException(
          "--classes: %d classes of %d words take too much memory, expected at most %d"
              .formatted(classes, words, MOST_COUNTS / words));
    }
    int capacity = (int) Math.ceil(CAPACITY * words / classes);
    return ClassAssignment.of(of(words, bigrams, corpus.training().length, classes, capacity));
  }

  /**
   * The class of each word.
   *
   * @param capacity no class gets more words than this; at least {@code words / classes}
   */
  static int[] of(int words, Bigrams bigrams, int textLength, int classes, int capacity) {
    BigramClasses exchange = new BigramClasses(words, bigrams, textLength, classes);
    int moved = words;
    for (int sweep = 0; sweep < MOST_SWEEPS && moved > words / 50; sweep++) {
      moved = exchange.sweep(capacity);
    }
    return exchange.classOf;
  }

  private int sweep(int capacity) {
    int moved = 0;
    for (int word = 0; word < words; word++) {
      int old = classOf[word];
      if (size[old] == 1) {
        continue; // no class may become empty
      }
      leave(word);
      int best = best(word, old, capacity);
      join(word, best);
      if (best != old) {
        moved++;
      }
    }
    return moved;
  }

  private void leave(int word) {
    add(word, classOf[word], -1);
  }

  private void join(int word, int to) {
    classOf[word] = to;
    add(word, to, 1);
  }

  private void add(int word, int to, int sign) {
    size[to] += sign;
    for (int pair = bigrams.start(word); pair < bigrams.start(word + 1); pair++) {
      after[bigrams.before(pair) * classes + to] += sign * bigrams.count(pair);
      occurrences[to] += sign * bigrams.count(pair);
    }
  }

  /**
   * The class with room that gains most by the word, which is in none; the old one if all are
   * equal.
   */
  private int best(int word, int old, int capacity) {
    Arrays.fill(gain, 0);
    int total = 0;
    for (int pair = bigrams.start(word); pair < bigrams.start(word + 1); pair++) {
      int count = bigrams.count(pair);
      int row = bigrams.before(pair) * classes;
      for (int c = 0; c < classes; c++) {
        gain[c] += nLogN[after[row + c] + count] - nLogN[after[row + c]];
      }
      total += count;
    }
    for (int c = 0; c < classes; c++) {
      gain[c] -= nLogN[occurrences[c] + total] - nLogN[occurrences[c]];
    }
    int best = old;
    for (int c = 0; c < classes; c++) {
      if (size[c] < capacity && gain[c] > gain[best]) {
        best = c;
      }
    }
    return best;
  }
}
