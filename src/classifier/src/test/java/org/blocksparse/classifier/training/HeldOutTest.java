// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.classifier.examples.Example;
import org.junit.jupiter.api.Test;

/** Examples that are held out of a training. */
final class HeldOutTest {
  private static BitSet draw(int[] firstOfEquals, int count, long seed) {
    int[] units = HeldOut.units(firstOfEquals, count);
    return HeldOut.draw(units, count, 1, new SplittableRandom(seed)).get(0);
  }

  @Test
  void equalExamplesAreHeldOutTogether() {
    int[] first = IntStream.range(0, 1000).map(e -> e < 600 ? e % 200 : e).toArray();
    int[] held = new int[1000];
    for (int seed = 0; seed < 400; seed++) {
      BitSet drawn = draw(first, 100, seed);
      assertEquals(100, drawn.cardinality());
      for (int e = 0; e < first.length; e++) {
        assertEquals(drawn.get(first[e]), drawn.get(e));
      }
      drawn.stream().forEach(e -> held[e]++);
    }
    // Each is held out with a probability of 1 in 10: 200 texts of 3 make 24,000 of 40,000.
    double ofEquals = IntStream.range(0, 600).map(e -> held[e]).sum();
    assertEquals(24_000, ofEquals, 1000);
  }

  @Test
  void foldsHaveNoExampleInCommon_norAnEqualOne() {
    int[] first = IntStream.range(0, 1003).map(e -> e < 600 ? e % 200 : e).toArray();
    List<BitSet> folds = HeldOut.draw(first, 100, 10, new SplittableRandom(1));
    assertEquals(draw(first, 100, 1), folds.get(0));
    BitSet all = new BitSet();
    for (BitSet fold : folds) {
      assertFalse(all.intersects(fold));
      assertTrue(fold.cardinality() >= 98);
      for (int e = 0; e < first.length; e++) {
        assertEquals(fold.get(first[e]), fold.get(e));
      }
      all.or(fold);
    }
    assertEquals(1, HeldOut.draw(first, 1003, 2, new SplittableRandom(1)).size());
  }

  @Test
  void equalPairsOfWhichNoneFits_areOneEmptyFold() {
    int[] first = IntStream.range(0, 10).map(e -> e / 2 * 2).toArray();
    assertEquals(List.of(new BitSet()), HeldOut.draw(first, 1, 10, new SplittableRandom(1)));
  }

  @Test
  void examplesOfOneTextInTooMany_areHeldOutOneByOne() {
    int[] first = IntStream.range(0, 1000).map(e -> e % 4).toArray();
    assertEquals(100, draw(first, 100, 1).cardinality());
    int[] all = new int[1000];
    assertEquals(100, draw(all, 100, 1).cardinality());
    assertEquals(0, draw(all, 0, 1).cardinality());
    assertEquals(0, draw(new int[0], 0, 1).cardinality());
  }

  /** Otherwise one text could be the whole held-out set, with a label that was never trained. */
  @Test
  void aTextIsHeldOutAsAWhole_upToTheRootOfTheCount() {
    assertEquals(20, textsHeldOut(20, 1000, 1000));
    assertTrue(textsHeldOut(400, 50, 1000) > 300);
    assertTrue(textsHeldOut(400, 32, 1000) > 300);
    assertEquals(1000 / 31, textsHeldOut(400, 31, 1000));
    assertEquals(5, textsHeldOut(50, 2, 10));
    assertEquals(1, textsHeldOut(15, 2, 3));
  }

  /** Returns the number of held-out texts, among texts with equally many examples each. */
  private static long textsHeldOut(int texts, int examplesOfEach, int count) {
    int[] first = IntStream.range(0, texts * examplesOfEach).map(e -> e % texts).toArray();
    return draw(first, count, 1).stream().map(e -> first[e]).distinct().count();
  }

  @Test
  void withoutEqualExamples_exactlySoManyAreHeldOut() {
    int[] first = IntStream.range(0, 997).toArray();
    assertEquals(99, draw(first, 99, 1).cardinality());
    assertEquals(draw(first, 99, 1), draw(first, 99, 1));
    assertEquals(997, draw(first, 1000, 1).cardinality());
  }

  @Test
  void examplesDrawnTogetherCountAsOne() {
    List<Double> gains = List.of(1.0, 0.0, 1.0, 0.0);
    HeldOut.Gain alone = HeldOut.Gain.of(gains, List.of(0, 1, 2, 3));
    HeldOut.Gain twice =
        HeldOut.Gain.of(
            List.of(1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0), List.of(0, 0, 2, 2, 4, 4, 6, 6));
    assertEquals(0.5, alone.mean());
    assertEquals(Math.sqrt(1 / 12.0), alone.standardError(), 1e-12);
    assertEquals(alone.standardError(), twice.standardError(), 1e-12);
    assertFalse(HeldOut.Gain.of(gains, List.of(5, 5, 5, 5)).isMeasured());
    assertFalse(HeldOut.Gain.of(List.of(), List.of()).isMeasured());
  }

  /** Discarded words do not count. */
  @Test
  void examplesAreEqualIfTheirFeaturesAre() {
    TrainingOptions options = TrainingOptions.defaults().withMinCount(2).withWordNgrams(1);
    Stream<Example> examples =
        Stream.of("a b", "c", "a b", "a x b", "c", "y", "z").map(text -> Example.ofText(text, "l"));
    TrainingSet set = TrainingSet.of(examples, options);
    assertArrayEquals(new int[] {0, 1, 0, 0, 1, 5, 6}, set.firstOfEquals());
  }
}
