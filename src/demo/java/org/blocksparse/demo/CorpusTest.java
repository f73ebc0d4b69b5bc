// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class CorpusTest {
  /** Sentence i is "w i x", where i occurs nowhere else. */
  private static List<List<String>> sentences(int count) {
    return IntStream.range(0, count).mapToObj(i -> List.of("w", "" + i, "x")).toList();
  }

  @Test
  void of_holdsOutATenthOfTheSentences() {
    Corpus corpus = Corpus.of(sentences(50), 1);
    assertEquals(45 * 4, corpus.training().length);
    assertEquals(5 * 4, corpus.heldOut().length);
  }

  @Test
  void of_knowsOnlyWordsSeenTwiceInTraining() {
    Corpus corpus = Corpus.of(sentences(50), 1);
    Vocabulary vocabulary = corpus.vocabulary();
    assertEquals(4, vocabulary.size());
    assertEquals(Vocabulary.UNKNOWN, vocabulary.id("7"));
    int[] sentence = {vocabulary.id("w"), Vocabulary.UNKNOWN, vocabulary.id("x"), Vocabulary.END};
    for (int start = 0; start < corpus.heldOut().length; start += 4) {
      assertArrayEquals(sentence, Arrays.copyOfRange(corpus.heldOut(), start, start + 4));
    }
  }

  @Test
  void vocabulary_isInOrderOfFrequencyThenOfTheAlphabet() {
    Vocabulary vocabulary =
        new Vocabulary(List.of(List.of("b", "c", "c", "a"), List.of("b", "a", "c", "once")));
    assertEquals(
        List.of("</s>", "<unk>", "c", "a", "b"),
        IntStream.range(0, vocabulary.size()).mapToObj(vocabulary::word).toList());
  }

  @Test
  void heldOutBeginnings_areOfLongerSentencesWithoutUnknownWords() {
    Corpus corpus = Corpus.of(sentences(50), 1);
    assertEquals(List.of("w", "w"), corpus.heldOutBeginnings(2, 1));
    assertEquals(List.of(), corpus.heldOutBeginnings(2, 2));
    Corpus known = Corpus.of(Collections.nCopies(50, List.of("a", "b", "c")), 1);
    assertEquals(List.of("a b"), known.heldOutBeginnings(1, 2));
    assertEquals(List.of(), known.heldOutBeginnings(1, 3));
  }

  @Test
  void of_refusesTooLittleText() {
    refuses("no words", List.of());
    refuses("1 sentence", List.of(List.of("word")));
    refuses("9 sentence", sentences(9));
    refuses("fewer than 2 different words", Collections.nCopies(20, List.of("word")));
  }

  private static void refuses(String why, List<List<String>> sentences) {
    String message = assertThrows(UsageException.class, () -> Corpus.of(sentences, 1)).getMessage();
    assertTrue(message.contains(why), message);
  }
}
