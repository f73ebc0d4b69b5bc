// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Of what is counted on pairs of words: the pairs themselves, the baseline, and the classes. */
class BigramsTest {
  private static final int WORDS = 40;
  private static final int CLASSES = 5;

  /** Words that depend on the word before, with some that never occur. */
  private static int[] text() {
    SplittableRandom random = new SplittableRandom(3);
    int[] text = new int[5000];
    for (int i = 1; i < text.length; i++) {
      int spread = 1 + random.nextInt(1 + random.nextInt(12));
      text[i] = (text[i - 1] * 7 + spread) % (WORDS - 4);
    }
    return text;
  }

  @Test
  void count_isThatOfTheText() {
    int[] text = text();
    Bigrams bigrams = new Bigrams(WORDS, text);
    int[][] expected = new int[WORDS][WORDS];
    int before = Vocabulary.END;
    for (int word : text) {
      expected[before][word]++;
      before = word;
    }
    for (int v = 0; v < WORDS; v++) {
      for (int w = 0; w < WORDS; w++) {
        assertEquals(expected[v][w], bigrams.count(v, w), v + " " + w);
      }
    }
  }

  /**
   * "1 1 2 /" after an end: of the pairs (/ 1) (1 1) (1 2) (2 /), none repeats, so n1 = 4, n2 = 0
   * and the discount is 1; word 1 was seen after two words, 2 and / after one, so their discount is
   * 2 / (2 + 2).
   */
  @Test
  void baseline_byHand() {
    BigramBaseline baseline = new BigramBaseline(4, new Bigrams(4, new int[] {1, 1, 2, 0}));
    double uniform = 0.5 * 3 / 4;
    assertEquals((1.5 + uniform) / 4, baseline.probability(1, 1), 1e-12);
    assertEquals((0.5 + uniform) / 4, baseline.probability(1, 0), 1e-12);
    assertEquals(uniform / 4, baseline.probability(3, 3), 1e-12);
    double heldOut = Math.log((1.5 + uniform) / 4) + Math.log((0.5 + uniform) / 4);
    assertEquals(Math.exp(-heldOut / 2), baseline.perplexity(new int[] {1, 0}), 1e-12);
  }

  @Test
  void baseline_sumsToOneAfterEveryWord() {
    BigramBaseline baseline = new BigramBaseline(WORDS, new Bigrams(WORDS, text()));
    for (int before = 0; before < WORDS; before++) {
      double sum = 0;
      for (int word = 0; word < WORDS; word++) {
        double probability = baseline.probability(before, word);
        assertTrue(probability > 0, before + " " + word);
        sum += probability;
      }
      assertEquals(1, sum, 1e-12, "after " + before);
    }
  }

  /**
   * The log likelihood of the text by p(class | before) p(word | class), computed from its
   * definition.
   */
  private static double likelihood(int[] text, int[] classOf) {
    int[] wordCount = new int[WORDS];
    int[] classCount = new int[CLASSES];
    int[] beforeCount = new int[WORDS];
    int[][] after = new int[WORDS][CLASSES];
    int before = Vocabulary.END;
    for (int word : text) {
      wordCount[word]++;
      classCount[classOf[word]]++;
      beforeCount[before]++;
      after[before][classOf[word]]++;
      before = word;
    }
    double sum = 0;
    before = Vocabulary.END;
    for (int word : text) {
      int c = classOf[word];
      sum += Math.log((double) after[before][c] / beforeCount[before]);
      sum += Math.log((double) wordCount[word] / classCount[c]);
      before = word;
    }
    return sum;
  }

  @Test
  void classes_noMoveOfOneWordIsBetter() {
    int[] text = text();
    int[] classOf = BigramClasses.of(WORDS, new Bigrams(WORDS, text), text.length, CLASSES, WORDS);
    double reached = likelihood(text, classOf);
    for (int word = 0; word < WORDS; word++) {
      int own = classOf[word];
      for (int c = 0; c < CLASSES; c++) {
        classOf[word] = c;
        assertTrue(likelihood(text, classOf) <= reached + 1e-6, word + " to " + c);
      }
      classOf[word] = own;
    }
  }

  @Test
  void classes_keepToTheirCapacityAndNoneIsEmpty() {
    int[] text = text();
    int[] classOf = BigramClasses.of(WORDS, new Bigrams(WORDS, text), text.length, CLASSES, 9);
    int[] sizes = new int[CLASSES];
    for (int c : classOf) {
      sizes[c]++;
    }
    for (int size : sizes) {
      assertTrue(size >= 1 && size <= 9, Arrays.toString(sizes));
    }
  }
}
