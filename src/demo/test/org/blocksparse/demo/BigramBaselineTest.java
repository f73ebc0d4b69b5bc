// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

final class BigramBaselineTest {
  /**
   * "1 1 2 /" after an end: of the pairs (/ 1) (1 1) (1 2) (2 /), none repeats, so n1 = 4, n2 = 0
   * and the discount is 1; word 1 was seen after two words, 2 and / after one, so their discount is
   * 2 / (2 + 2).
   */
  @Test
  void probabilities_byHand() {
    BigramBaseline baseline = new BigramBaseline(4, new int[] {1, 1, 2, 0});
    double uniform = 0.5 * 3 / 4;
    assertEquals((1.5 + uniform) / 4, baseline.probability(1, 1), 1e-12);
    assertEquals((0.5 + uniform) / 4, baseline.probability(1, 0), 1e-12);
    assertEquals(uniform / 4, baseline.probability(3, 3), 1e-12);
    double heldOut = Math.log((1.5 + uniform) / 4) + Math.log((0.5 + uniform) / 4);
    assertEquals(Math.exp(-heldOut / 2), baseline.perplexity(new int[] {1, 0}), 1e-12);
  }

  @Test
  void probabilities_sumToOneAfterEveryWord() {
    int words = 40; // some of them never occur
    int[] text = new SplittableRandom(3).ints(5000, 0, words - 4).map(i -> i * i / 40).toArray();
    BigramBaseline baseline = new BigramBaseline(words, text);
    for (int before = 0; before < words; before++) {
      double sum = 0;
      for (int word = 0; word < words; word++) {
        double probability = baseline.probability(before, word);
        assertTrue(probability > 0, before + " " + word);
        sum += probability;
      }
      assertEquals(1, sum, 1e-12, "after " + before);
    }
  }
}
