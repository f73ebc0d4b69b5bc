// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.blocksparse.classifier.features.InputRows;

/** Puts pretrained vectors of words into their rows of a new model. */
final class PretrainedRows {
  private static final int WORDS_AT_ONCE = 1 << 12;

  private final FastTextVectors vectors;
  private final InputRows input;
  private final EmbeddingBag bag;
  private final BitSet filled = new BitSet();
  private final List<String> words = new ArrayList<>();
  private final List<Integer> rows = new ArrayList<>();

  private PretrainedRows(FastTextVectors vectors, InputRows input, EmbeddingBag bag) {
    this.vectors = vectors;
    this.input = input;
    this.bag = bag;
  }

  /**
   * Fills the rows of words that have a vector. Several words, such as Tea and tea, may be one
   * feature: the first of them, which is the most frequent, counts.
   *
   * @return how many rows were filled
   */
  static int fill(EmbeddingBag bag, InputRows input, FastTextVectors vectors) {
    PretrainedRows all = new PretrainedRows(vectors, input, bag);
    for (int word = 0; word < vectors.words(); word++) {
      all.add(vectors.word(word));
      if (all.words.size() == WORDS_AT_ONCE || word == vectors.words() - 1) {
        all.put();
      }
    }
    return all.filled.cardinality();
  }

  /** Adds a word that is one feature, with a row that has no vector yet. */
  private void add(String word) {
    long[] keys = new long[1];
    int[] count = new int[1];
    input
        .textFeatures()
        .of(
            word,
            key -> {
              keys[0] = key;
              count[0]++;
            });
    int row = count[0] == 1 ? input.vocabulary().row(keys[0]) : -1;
    if (row >= 0 && !filled.get(row)) {
      filled.set(row);
      words.add(word);
      rows.add(row);
    }
  }

  private void put() {
    int dimension = vectors.dimension();
    try (FloatTensor values = vectors.ofWords(words)) {
      float[] all = values.toArray();
      for (int i = 0; i < rows.size(); i++) {
        bag.table().put((long) rows.get(i) * dimension, all, i * dimension, dimension);
      }
    }
    words.clear();
    rows.clear();
  }
}
