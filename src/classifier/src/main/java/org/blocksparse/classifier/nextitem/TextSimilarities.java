// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.classifier.features.CharacterNgrams;
import org.blocksparse.classifier.features.FeatureExtractor;
import org.blocksparse.classifier.features.Words;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * Finds items with similar texts, by the cosine of their words, weighted by TF-IDF like the texts
 * of labels.
 */
final class TextSimilarities {
  /** The number of similar items kept for an item. */
  static final int MOST_SIMILAR = 100;

  /**
   * The most items of a word that is compared: a more frequent word means little, and all of its
   * items would be compared with each other.
   */
  private static final int MOST_OF_WORD = 10_000;

  private static final int BATCH = 256;

  private final Labels labels;
  private final List<int[]> similar = new ArrayList<>();
  private final List<float[]> cosines = new ArrayList<>();

  /**
   * Compares all items.
   *
   * @param texts the texts of items; one without a text, or without a word, is similar to none
   */
  TextSimilarities(Labels labels, Map<String, String> texts, Workers workers) {
    this.labels = labels;
    List<int[]> words = words(labels, texts);
    int features = words.stream().flatMapToInt(IntStream::of).max().orElse(0) + 1;
    try (SparseRows rows = SparseRows.of(words);
        SparseWeights weights = SparseWeights.ofRows(rows, features, workers)) {
      for (int begin = 0; begin < words.size(); begin += BATCH) {
        try (SparseRows some =
            SparseRows.of(words.subList(begin, Math.min(words.size(), begin + BATCH)))) {
          Ranking ranking = weights.topK(some, Math.min(MOST_SIMILAR + 1, words.size()));
          for (int row = 0; row < some.rows(); row++) {
            add(ranking, row, begin + row);
          }
        }
      }
    }
  }

  /** Returns the words of each item, as often as they occur. */
  private static List<int[]> words(Labels labels, Map<String, String> texts) {
    FeatureExtractor extractor = new FeatureExtractor(1, Words.LETTERS, CharacterNgrams.NONE);
    Map<Long, Integer> numbers = new HashMap<>();
    List<int[]> words = new ArrayList<>();
    for (int item = 0; item < labels.size(); item++) {
      IntStream.Builder of = IntStream.builder();
      extractor.words(
          texts.getOrDefault(labels.name(item), ""),
          key -> of.add(numbers.computeIfAbsent(key, word -> numbers.size())));
      words.add(of.build().toArray());
    }
    int[] items = new int[numbers.size()];
    words.forEach(of -> IntStream.of(of).distinct().forEach(word -> items[word]++));
    words.replaceAll(of -> IntStream.of(of).filter(word -> items[word] <= MOST_OF_WORD).toArray());
    return words;
  }

  private void add(Ranking ranking, int row, int item) {
    int[] ranks =
        IntStream.range(0, ranking.size(row))
            .filter(rank -> ranking.output(row, rank) != item)
            .limit(MOST_SIMILAR)
            .toArray();
    float[] of = new float[ranks.length];
    for (int i = 0; i < ranks.length; i++) {
      of[i] = ranking.score(row, ranks[i]);
    }
    similar.add(IntStream.of(ranks).map(rank -> ranking.output(row, rank)).toArray());
    cosines.add(of);
  }

  /** Returns the items that are similar to an item, the most similar first. */
  int[] similar(int item) {
    return similar.get(item);
  }

  /**
   * Weights from each item to similar ones, in the proportion of their similarity; the sum is 1.
   *
   * @param some of the items that were compared; others have no weight
   */
  SparseWeights weights(Labels some) {
    List<int[]> outputs = new ArrayList<>();
    List<float[]> weights = new ArrayList<>();
    for (int item = 0; item < some.size(); item++) {
      int place = labels.output(some.name(item));
      int[] of = similar.get(place);
      int[] kept = new int[of.length];
      float[] values = new float[of.length];
      int size = 0;
      double sum = 0;
      for (int i = 0; i < of.length; i++) {
        int output = some == labels ? of[i] : some.output(labels.name(of[i]));
        if (output >= 0) {
          kept[size] = output;
          values[size++] = cosines.get(place)[i];
          sum += cosines.get(place)[i];
        }
      }
      for (int i = 0; i < size; i++) {
        values[i] = (float) (values[i] / sum);
      }
      outputs.add(Arrays.copyOf(kept, size));
      weights.add(Arrays.copyOf(values, size));
    }
    try (SparseRows rows = SparseRows.of(outputs, weights)) {
      return SparseWeights.of(rows, some.size());
    }
  }
}
