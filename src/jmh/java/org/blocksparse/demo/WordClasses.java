// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Locale;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;

/** Ways to put words into the classes of a softmax. */
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

  ClassAssignment assign(Corpus corpus, Bigrams bigrams, int classes) {
    int words = corpus.vocabulary().size();
    return switch (this) {
      case FREQUENCY -> ClassAssignment.byFrequency(counts(corpus), classes);
      case ROOT -> ClassAssignment.bySquareRootOfFrequency(counts(corpus), classes);
      case KMEANS -> {
        try (FloatTensor vectors = vectors(words, bigrams)) {
          yield ClassAssignment.clustered(vectors, classes, KMEANS_SEED, Workers.common());
        }
      }
      case EXCHANGE -> BigramClasses.of(corpus, bigrams, classes);
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
