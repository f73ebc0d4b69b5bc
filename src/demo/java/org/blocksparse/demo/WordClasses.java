// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Locale;
import org.blocksparse.ClassAssignment;

/** How words come to the classes of the softmax. */
enum WordClasses {
  /** The most frequent words share the first class, and so on; all are of the same size. */
  FREQUENCY,
  /** As above, with small classes for frequent words and large ones for rare words. */
  ROOT,
  /** Words that come after the same words share a class: {@link BigramClasses}. */
  CLUSTERED;

  /**
   * The largest class in multiples of the average. Larger ones are slightly better to predict, and
   * cost memory and time, as all classes take the room of the largest.
   */
  private static final double CLUSTER_CAPACITY = 1.5;

  /** Of a class after a word; there is one for each class and word. */
  private static final long MOST_CLUSTER_COUNTS = 1L << 28;

  ClassAssignment assign(Corpus corpus, Bigrams bigrams, int classes) {
    int words = corpus.vocabulary().size();
    return switch (this) {
      case FREQUENCY -> ClassAssignment.byFrequency(counts(corpus), classes);
      case ROOT -> ClassAssignment.bySquareRootOfFrequency(counts(corpus), classes);
      case CLUSTERED -> {
        if ((long) words * classes > MOST_CLUSTER_COUNTS) {
          throw new InvalidInputException(
              "clustering %d words into %d classes takes too much memory: use fewer --classes or"
                      .formatted(words, classes)
                  + " another --assignment");
        }
        int capacity = (int) Math.ceil(CLUSTER_CAPACITY * words / classes);
        yield ClassAssignment.of(
            BigramClasses.of(words, bigrams, corpus.training().length, classes, capacity));
      }
    };
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
