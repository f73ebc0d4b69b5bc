// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Arrays;

/**
 * The different pairs (word before, word) of a text and how often each occurs, in ascending order
 * of the word and then of the word before.
 */
final class Bigrams {
  private final long[] pairs; // word << 32 | before
  private final int[] counts;
  private final int[] start; // the first pair of each word

  /** The first word of a text counts as one that begins a sentence. */
  Bigrams(int vocabularySize, int[] text) {
    long[] all = new long[text.length];
    for (int i = 0; i < text.length; i++) {
      all[i] = pair(i == 0 ? Vocabulary.END : text[i - 1], text[i]);
    }
    Arrays.sort(all);

    pairs = Arrays.stream(all).distinct().toArray();
    counts = new int[pairs.length];
    start = new int[vocabularySize + 1];
    int next = 0;
    for (int p = 0; p < pairs.length; p++) {
      while (next < all.length && all[next] == pairs[p]) {
        counts[p]++;
        next++;
      }
      start[word(p) + 1]++;
    }
    for (int word = 0; word < vocabularySize; word++) {
      start[word + 1] += start[word];
    }
  }

  private static long pair(int before, int word) {
    return (long) word << 32 | before;
  }

  /** The number of different pairs; they are numbered from 0. */
  int size() {
    return pairs.length;
  }

  /** The first pair with a word; its pairs end where those of the next word begin. */
  int start(int word) {
    return start[word];
  }

  int word(int pair) {
    return (int) (pairs[pair] >>> 32);
  }

  int before(int pair) {
    return (int) pairs[pair];
  }

  int count(int pair) {
    return counts[pair];
  }

  /** How often {@code word} comes after {@code before}. */
  int count(int before, int word) {
    int pair = Arrays.binarySearch(pairs, start[word], start[word + 1], pair(before, word));
    return pair < 0 ? 0 : counts[pair];
  }
}
