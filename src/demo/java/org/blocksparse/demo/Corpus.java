// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * A text as word numbers, in two parts that share no sentence. Each sentence is followed by {@link
 * Vocabulary#END}, which is a word to predict like the others.
 */
final class Corpus {
  private static final int SENTENCES_AT_LEAST = 10;
  private static final int WORDS_AT_LEAST = 2;

  private final Vocabulary vocabulary;
  private final int[] training;
  private final int[] heldOut;

  private Corpus(List<List<String>> training, List<List<String>> heldOut) {
    vocabulary = new Vocabulary(training);
    this.training = vocabulary.encode(training);
    this.heldOut = vocabulary.encode(heldOut);
  }

  /**
   * Holds out a tenth of the sentences, chosen by chance.
   *
   * @throws UsageException if there is too little text
   */
  static Corpus of(List<List<String>> sentences, long seed) {
    if (sentences.isEmpty()) {
      throw new UsageException("the text has no words");
    }
    if (sentences.size() < SENTENCES_AT_LEAST) {
      throw new UsageException(
          "the text has %d sentence(s), one a line; to train and to hold out takes %d"
              .formatted(sentences.size(), SENTENCES_AT_LEAST));
    }
    List<List<String>> shuffled = new ArrayList<>(sentences);
    Collections.shuffle(shuffled, new Random(seed));
    int held = shuffled.size() / 10;
    Corpus corpus = new Corpus(shuffled.subList(held, shuffled.size()), shuffled.subList(0, held));
    if (corpus.vocabulary.size() < Vocabulary.UNKNOWN + 1 + WORDS_AT_LEAST) {
      throw new UsageException(
          "the text has fewer than %d different words that occur twice: nothing to choose from"
              .formatted(WORDS_AT_LEAST));
    }
    return corpus;
  }

  /** The words of the training part that occur more than once. */
  Vocabulary vocabulary() {
    return vocabulary;
  }

  /** Nine tenths of the sentences. */
  int[] training() {
    return training;
  }

  /** The other tenth, which nothing is ever trained or counted on. */
  int[] heldOut() {
    return heldOut;
  }

  /** The first words of some held-out sentences that are longer and begin with known words. */
  List<String> heldOutBeginnings(int count, int words) {
    List<String> beginnings = new ArrayList<>();
    int start = 0;
    for (int i = 0; i < heldOut.length && beginnings.size() < count; i++) {
      if (heldOut[i] == Vocabulary.END) {
        int[] beginning = Arrays.copyOfRange(heldOut, start, Math.min(start + words, i));
        boolean known = Arrays.stream(beginning).noneMatch(id -> id == Vocabulary.UNKNOWN);
        if (known && i > start + words) {
          beginnings.add(Arrays.stream(beginning).mapToObj(vocabulary::word).collect(joining(" ")));
        }
        start = i + 1;
      }
    }
    return beginnings;
  }
}
