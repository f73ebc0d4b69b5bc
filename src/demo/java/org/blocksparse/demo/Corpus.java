// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.util.Map.Entry.comparingByKey;
import static java.util.stream.Collectors.counting;
import static java.util.stream.Collectors.groupingBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ranking.Labels;

/**
 * A text as numbers of words, in a training part and a held-out part. Each sentence ends with
 * {@link #END}.
 *
 * @param vocabulary the end of a sentence, {@link #UNKNOWN}, then the words that occur more than
 *     once in the part to learn, the most frequent first
 */
@SuppressWarnings("ArrayRecordComponent")
record Corpus(Labels vocabulary, int[] training, int[] heldOut) {
  static final int END = 0;

  /** Stands for every word outside the vocabulary. */
  static final int UNKNOWN = 1;

  private static final List<String> SPECIAL = List.of("</s>", "<unk>");
  private static final int MIN_SENTENCES = 10;
  private static final int MIN_WORDS = 2;

  /**
   * Holds out a tenth of the sentences at random.
   *
   * @throws IllegalArgumentException if there is too little text
   */
  static Corpus of(List<List<String>> sentences, long seed) {
    List<List<String>> shuffled = new ArrayList<>(sentences);
    Collections.shuffle(shuffled, new Random(seed));
    int held = shuffled.size() / 10;
    List<List<String>> training = shuffled.subList(held, shuffled.size());
    List<String> frequent = frequentWords(training);
    if (sentences.size() < MIN_SENTENCES || frequent.size() < MIN_WORDS) {
      throw new IllegalArgumentException(
          "text: expected %d or more sentences, one a line, and %d or more words that occur twice,"
                  .formatted(MIN_SENTENCES, MIN_WORDS)
              + " but was %d and %d".formatted(sentences.size(), frequent.size()));
    }
    Labels vocabulary = Labels.of(Stream.concat(SPECIAL.stream(), frequent.stream()).toList());
    return new Corpus(
        vocabulary, encode(vocabulary, training), encode(vocabulary, shuffled.subList(0, held)));
  }

  /** Returns the words by descending frequency, those of equal frequency in alphabetical order. */
  private static List<String> frequentWords(List<List<String>> sentences) {
    Map<String, Long> counts =
        sentences.stream().flatMap(List::stream).collect(groupingBy(word -> word, counting()));
    return counts.entrySet().stream()
        .filter(entry -> entry.getValue() > 1)
        .sorted(
            Map.Entry.<String, Long>comparingByValue().reversed().thenComparing(comparingByKey()))
        .map(Map.Entry::getKey)
        .toList();
  }

  private static int[] encode(Labels vocabulary, List<List<String>> sentences) {
    return sentences.stream()
        .flatMapToInt(
            words -> IntStream.concat(IntStream.of(ids(vocabulary, words)), IntStream.of(END)))
        .toArray();
  }

  /** Returns the numbers of words. */
  static int[] ids(Labels vocabulary, List<String> words) {
    return words.stream().mapToInt(vocabulary::output).map(id -> id < 0 ? UNKNOWN : id).toArray();
  }

  /** Returns the first words of some longer held-out sentences that begin with known words. */
  List<int[]> beginnings(int count, int words) {
    List<int[]> beginnings = new ArrayList<>();
    int start = 0;
    for (int i = 0; i < heldOut.length && beginnings.size() < count; i++) {
      if (heldOut[i] == END) {
        int[] beginning = Arrays.copyOfRange(heldOut, start, Math.min(start + words, i));
        if (i > start + words && Arrays.stream(beginning).noneMatch(id -> id == UNKNOWN)) {
          beginnings.add(beginning);
        }
        start = i + 1;
      }
    }
    return beginnings;
  }
}
