// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.util.Map.Entry.comparingByKey;
import static java.util.stream.Collectors.counting;
import static java.util.stream.Collectors.groupingBy;

import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The words that the model knows, numbered from the most frequent one down, behind two that stand
 * for something else: the end of a sentence and every word that is unknown.
 */
final class Vocabulary {
  /** Ends each sentence, and so comes before the first word of the next one. */
  static final int END = 0;

  /** Stands for every word that was seen less than twice in training. */
  static final int UNKNOWN = 1;

  private final String[] words;
  private final Map<String, Integer> ids = new HashMap<>();

  /** Of the words that occur more than once in {@code sentences}. */
  Vocabulary(List<List<String>> sentences) {
    this(frequentWords(sentences));
  }

  /** Of all words by their numbers, those that stand for something else included. */
  Vocabulary(String[] words) {
    this.words = words;
    for (int id = UNKNOWN + 1; id < words.length; id++) {
      ids.put(words[id], id);
    }
  }

  /** All words by their numbers. */
  List<String> words() {
    return List.of(words);
  }

  private static String[] frequentWords(List<List<String>> sentences) {
    Map<String, Long> counts =
        sentences.stream().flatMap(List::stream).collect(groupingBy(word -> word, counting()));
    Stream<String> frequent =
        counts.entrySet().stream()
            .filter(entry -> entry.getValue() > 1)
            .sorted(mostFrequentFirst())
            .map(Map.Entry::getKey);
    return Stream.concat(Stream.of("</s>", "<unk>"), frequent).toArray(String[]::new);
  }

  private static Comparator<Map.Entry<String, Long>> mostFrequentFirst() {
    // Words of equal frequency go by the alphabet: the numbering must not depend on hashing.
    return Map.Entry.<String, Long>comparingByValue().reversed().thenComparing(comparingByKey());
  }

  int size() {
    return words.length;
  }

  int id(String word) {
    return ids.getOrDefault(word, UNKNOWN);
  }

  int[] ids(List<String> sentence) {
    return sentence.stream().mapToInt(this::id).toArray();
  }

  String word(int id) {
    return words[id];
  }

  /** The sentences one after the other, each followed by {@link #END}. */
  int[] encode(List<List<String>> sentences) {
    int length = sentences.stream().mapToInt(sentence -> sentence.size() + 1).sum();
    int[] text = new int[length];
    int next = 0;
    for (List<String> sentence : sentences) {
      for (String word : sentence) {
        text[next++] = id(word);
      }
      text[next++] = END;
    }
    return text;
  }
}
