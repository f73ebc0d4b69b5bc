// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Locale;
import org.blocksparse.ClassAssignment;
import org.blocksparse.FloatTensor;

/** How words come to the classes of the softmax. */
enum WordClasses {
  /** The most frequent words share the first class, and so on; all are of the same size. */
  FREQUENCY,
  /** As above, with small classes for frequent words and large ones for rare words. */
  ROOT,
  /** Words that come after the same frequent words share a class, by k-means. */
  KMEANS,
  /** Words that come after the same words share a class, by exchange: {@link BigramClasses}. */
  EXCHANGE;

  private static final int KMEANS_CONTEXTS = 256;
  private static final long KMEANS_SEED = 1;

  /**
   * The largest class in multiples of the average. Larger ones are slightly better to predict, and
   * cost memory and time, as all classes take the room of the largest.
   */
  private static final double EXCHANGE_CAPACITY = 1.5;

  /** Of a class after a word; there is one for each class and word. */
  private static final long MOST_EXCHANGE_COUNTS = 1L << 28;

  ClassAssignment assign(Corpus corpus, Bigrams bigrams, int classes) {
    int words = corpus.vocabulary().size();
    return switch (this) {
      case FREQUENCY -> ClassAssignment.byFrequency(counts(corpus), classes);
      case ROOT -> ClassAssignment.bySquareRootOfFrequency(counts(corpus), classes);
      case KMEANS -> {
        try (FloatTensor vectors = vectors(words, bigrams)) {
          yield ClassAssignment.clustered(vectors, classes, KMEANS_SEED);
        }
      }
      case EXCHANGE -> {
        if ((long) words * classes > MOST_EXCHANGE_COUNTS) {
          throw new InvalidInputException(
              "exchange of %d words between %d classes takes too much memory: use fewer --classes or"
                      .formatted(words, classes)
                  + " another --assignment");
        }
        int capacity = (int) Math.ceil(EXCHANGE_CAPACITY * words / classes);
        yield ClassAssignment.of(
            BigramClasses.of(words, bigrams, corpus.training().length, classes, capacity));
      }
    };
  }

  /** For each word, how often it comes after each of the most frequent words, in logarithms. */
  private static FloatTensor vectors(int words, Bigrams bigrams) {
    int size = Math.min(words, KMEANS_CONTEXTS);
    FloatTensor vectors = FloatTensor.zeros(words, size);
    for (int pair = 0; pair < bigrams.size(); pair++) {
      if (bigrams.before(pair) < size) {
        float value = (float) Math.log1p(bigrams.count(pair));
        vectors.set(value, bigrams.word(pair), bigrams.before(pair));
      }
    }
    return vectors;
  }

  private static long[] counts(Corpus corpus) {
    long[] counts = new long[corpus.vocabulary().size()];
    for (int word : corpus.training()) {
      counts[word]++;
    }
    return counts;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
