// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * A text as word numbers, in two parts that share no sentence. Each sentence is followed by {@link
 * Vocabulary#END}, which is a word to predict like the others.
 *
 * @param training nine tenths of the sentences; the vocabulary knows only what is in here
 * @param heldOut the other tenth, which nothing is ever trained or counted on
 */
record Corpus(Vocabulary vocabulary, int[] training, int[] heldOut) {
  private static final int SENTENCES_AT_LEAST = 10;
  private static final int WORDS_AT_LEAST = 2;

  static Corpus of(List<List<String>> sentences, long seed) {
    if (sentences.isEmpty()) {
      throw new InvalidInputException("the text has no words");
    }
    if (sentences.size() < SENTENCES_AT_LEAST) {
      throw new InvalidInputException(
          "the text has %d sentence(s), one a line; training and holding out need %d"
              .formatted(sentences.size(), SENTENCES_AT_LEAST));
    }
    List<List<String>> shuffled = new ArrayList<>(sentences);
    Collections.shuffle(shuffled, new Random(seed));
    int held = shuffled.size() / 10;
    List<List<String>> heldOut = shuffled.subList(0, held);
    List<List<String>> training = shuffled.subList(held, shuffled.size());
    Vocabulary vocabulary = new Vocabulary(training);
    if (vocabulary.size() < Vocabulary.UNKNOWN + 1 + WORDS_AT_LEAST) {
      throw new InvalidInputException(
          "the text has fewer than %d words that occur twice: there is nothing to choose between"
              .formatted(WORDS_AT_LEAST));
    }
    return new Corpus(vocabulary, vocabulary.encode(training), vocabulary.encode(heldOut));
  }
}
