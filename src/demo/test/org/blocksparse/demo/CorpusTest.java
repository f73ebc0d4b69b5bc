// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class CorpusTest {
  /** Returns sentences: sentence i is "w i x", where i occurs nowhere else. */
  private static List<List<String>> sentences(int count) {
    return IntStream.range(0, count).mapToObj(i -> List.of("w", "" + i, "x")).toList();
  }

  @Test
  void aTenthIsHeldOut_inWordsThatOccurTwiceInTheRest() {
    Corpus corpus = Corpus.of(sentences(50), 1);
    assertEquals(45 * 4, corpus.training().length);
    assertEquals(5 * 4, corpus.heldOut().length);
    assertEquals(List.of("</s>", "<unk>", "w", "x"), corpus.vocabulary().names());
    for (int start = 0; start < corpus.heldOut().length; start += 4) {
      int[] sentence = Arrays.copyOfRange(corpus.heldOut(), start, start + 4);
      assertArrayEquals(new int[] {2, Corpus.UNKNOWN, 3, Corpus.END}, sentence);
    }
  }

  @Test
  void vocabulary_isInOrderOfFrequencyThenOfTheAlphabet() {
    List<List<String>> same = Collections.nCopies(20, List.of("b", "c", "c", "a"));
    List<String> words = Corpus.of(same, 1).vocabulary().names();
    assertEquals(List.of("c", "a", "b"), words.subList(2, words.size()));
  }

  @Test
  void beginnings_areOfLongerSentencesWithoutUnknownWords() {
    Corpus corpus = Corpus.of(sentences(50), 1);
    assertEquals(2, corpus.beginnings(2, 1).size());
    assertEquals(List.of(), corpus.beginnings(2, 2));
    Corpus known = Corpus.of(Collections.nCopies(50, List.of("a", "b", "c")), 1);
    assertArrayEquals(new int[] {2, 3}, known.beginnings(1, 2).get(0));
    assertEquals(List.of(), known.beginnings(1, 3));
  }

  @Test
  void refusesTooLittleText() {
    refuses("was 0 and 0", List.of());
    refuses("was 9 and 2", sentences(9));
    refuses("was 20 and 1", Collections.nCopies(20, List.of("word")));
  }

  private static void refuses(String why, List<List<String>> sentences) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> Corpus.of(sentences, 1)).getMessage();
    assertTrue(message.contains(why), message);
  }

  @Test
  void words_areLetters_digits_andPunctuation() {
    assertEquals(
        List.of("it", "isn't", "3", ".", "5", "km", "-", "the", "dogs", "'"),
        Sentences.words("  It isn't 3.5km - the\tDOGS' "));
    assertEquals(
        List.of("größe", ",", "мир", "、", "世界", "e\u0301tat"),
        Sentences.words("Größe, МИР、世界 E\u0301TAT"));
  }

  /** The figures on which published comparisons of this text are based. */
  @Test
  void wordNet_hasAllDefinitionsWithoutExamples() throws IOException {
    List<List<String>> sentences = Sentences.ofWordNet();
    assertEquals(117_791, sentences.size());
    assertEquals(1_379_426, sentences.stream().mapToInt(words -> words.size() + 1).sum());
    assertEquals(
        Sentences.words("a tangible and visible entity; an entity that can cast a shadow"),
        sentences.get(4));
  }
}
