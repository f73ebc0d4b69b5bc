// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.blocksparse.classifier.features.FeatureCounts.Kept;
import org.junit.jupiter.api.Test;

final class FeatureCountsTest {
  private static final int PAIR = 1 << 20;
  private final FeatureCounts counts = new FeatureCounts(FeatureVocabulary.NONE, 1 << 20);

  /** Adds a feature so many times: pairs have keys from {@link #PAIR} on. */
  private void add(long key, int times) {
    for (int i = 0; i < times; i++) {
      counts.add(key, key < PAIR ? FeatureGroup.WORD : FeatureGroup.WORDS_IN_A_ROW);
    }
  }

  private static Set<Long> keys(Kept kept, LongStream all) {
    return all.filter(key -> kept.vocabulary().row(key) >= 0).boxed().collect(Collectors.toSet());
  }

  @Test
  void allAreKept_whereThereIsRoom_theMostFrequentOnesFirst() {
    add(7, 1);
    add(PAIR, 3);
    add(5, 1);
    add(9, 2);
    Kept kept = counts.keep(1, 4, 4);
    assertEquals(0, kept.leftOut());
    assertEquals(
        List.of(2, 0, 3, 1),
        LongStream.of(7, PAIR, 5, 9).mapToObj(key -> kept.vocabulary().row(key)).toList());
    assertEquals(List.of(2, 0, 3, 1), IntStream.of(kept.rowOf()).boxed().toList());
    assertEquals(2, counts.keep(2, 4, 4).leftOut());
    assertEquals(Set.of(9L, (long) PAIR), keys(counts.keep(2, 4, 4), LongStream.of(7, PAIR, 5, 9)));
  }

  @Test
  void byDefault_wordsInARowThatOccurOnce_areLeftOut() {
    add(7, 1);
    add(PAIR, 1);
    add(PAIR + 1, 2);
    Kept kept = counts.keep(0, 4, 4);
    assertEquals(1, kept.leftOut());
    assertEquals(Set.of(7L, PAIR + 1L), keys(kept, LongStream.of(7, PAIR, PAIR + 1)));
    assertEquals(0, counts.keep(1, 4, 4).leftOut());
  }

  @Test
  void wordsInARow_haveALimitOfTheirOwn() {
    LongStream.range(0, 10).forEach(key -> add(key, 1));
    LongStream.range(0, 5).forEach(pair -> add(PAIR + pair, 2 + (int) pair));
    Kept kept = counts.keep(1, 100, 2);
    assertEquals(3, kept.leftOut());
    assertEquals(Set.of(PAIR + 3L, PAIR + 4L), keys(kept, LongStream.range(PAIR, PAIR + 5)));
    assertEquals(10, keys(kept, LongStream.range(0, 10)).size());
    assertEquals(6, counts.keep(1, 6, 2).vocabulary().rows());
  }

  @Test
  void tooManyWordsInARow_theRarestAreForgotten() {
    KeyTable rows = new KeyTable();
    rows.add(PAIR + 1);
    FeatureCounts few = new FeatureCounts(FeatureVocabulary.of(rows), 4);
    long[] keys = {PAIR + 1, 7, PAIR + 2, PAIR + 3, PAIR + 3, PAIR + 4, PAIR + 4, PAIR + 4, 7};
    for (long key : keys) {
      few.add(key, key < PAIR ? FeatureGroup.WORD : FeatureGroup.WORDS_IN_A_ROW);
    }
    assertFalse(few.isFull());
    few.add(PAIR + 5, FeatureGroup.WORDS_IN_A_ROW);
    assertTrue(few.isFull());
    // PAIR + 1 has a row, 7 is a word, and two others came several times.
    assertArrayEquals(new int[] {0, 1, -1, 2, 3, -1}, few.forgetRare());
    assertFalse(few.isFull());
    assertEquals(4, few.size());
    assertEquals(2, few.add(PAIR + 3, FeatureGroup.WORDS_IN_A_ROW));
    assertEquals(4, few.add(PAIR + 2, FeatureGroup.WORDS_IN_A_ROW));
    Kept kept = few.keep(2, 100, 100);
    assertEquals(3, kept.leftOut()); // two were forgotten; one of them came again, once
    assertArrayEquals(new int[] {0, 3, 1, 2, -1}, kept.rowOf());
    assertTrue(few.hasForgotten());
    assertTrue(few.isWord(1));
    assertFalse(few.isWord(0));
  }

  @Test
  void oneFeatureTooMany_costsOne_andThatIsAPair() {
    int most = 1000;
    LongStream.range(0, most / 2).forEach(key -> add(key, 1));
    LongStream.rangeClosed(PAIR, PAIR + most / 2).forEach(key -> add(key, 1));
    Kept kept = counts.keep(1, most, most);
    assertEquals(1, kept.leftOut());
    assertEquals(most, kept.vocabulary().rows());
    assertEquals(most / 2, keys(kept, LongStream.range(0, most / 2)).size());
  }

  @Test
  void rareWords_areNotPushedOutByFrequentPairs_norTheseByVeryManyWords() {
    add(0, 50);
    LongStream.range(1, 100).forEach(key -> add(key, 1));
    LongStream.range(PAIR, PAIR + 100).forEach(key -> add(key, 10));
    Set<Long> kept = keys(counts.keep(1, 100, 100), LongStream.range(0, PAIR + 100));
    assertEquals(50, kept.stream().filter(key -> key < PAIR).count());
    assertEquals(50, kept.stream().filter(key -> key >= PAIR).count());
    assertTrue(kept.contains(0L));
  }

  @Test
  void whichAreKept_doesNotGoByTheOrderInWhichTheyCome() {
    List<Long> keys =
        new SplittableRandom(1)
            .longs(0, 2 * PAIR)
            .limit(3000)
            .boxed()
            .flatMap(key -> Collections.nCopies(1 + (int) (key % 3), key).stream())
            .collect(Collectors.toList());
    keys.forEach(key -> add(key, 1));
    Set<Long> expected = keys(counts.keep(1, 900, 900), LongStream.range(0, 2 * PAIR));
    assertEquals(900, expected.size());
    Collections.shuffle(keys, new Random(2));
    FeatureCounts shuffled = new FeatureCounts(FeatureVocabulary.NONE, 1 << 20);
    keys.forEach(
        key -> shuffled.add(key, key < PAIR ? FeatureGroup.WORD : FeatureGroup.WORDS_IN_A_ROW));
    assertEquals(expected, keys(shuffled.keep(1, 900, 900), LongStream.range(0, 2 * PAIR)));
  }

  @Test
  void ofEquals_thoseThatComeLastAreKeptAsOftenAsTheFirst() {
    LongStream.range(0, 10_000).forEach(key -> add(key, 1));
    Set<Long> kept = keys(counts.keep(1, 5000, 5000), LongStream.range(0, 10_000));
    assertEquals(5000, kept.size());
    assertEquals(2500, (double) kept.stream().filter(key -> key < 5000).count(), 150);
  }

  @Test
  void rareOnes_goFirst_whateverTheyAre() {
    add(1, 5);
    add(2, 4);
    add(3, 3);
    add(PAIR, 4);
    add(PAIR + 1, 1);
    LongStream all = LongStream.of(1, 2, 3, PAIR, PAIR + 1);
    assertEquals(Set.of(1L, 2L, (long) PAIR), keys(counts.keep(1, 3, 3), all));
    assertEquals(Set.of(1L), keys(counts.keep(1, 1, 1), LongStream.range(0, 2 * PAIR)));
  }

  @Test
  void manyCounts_areComparedWhole() {
    Set<Long> frequent = new HashSet<>();
    for (long key = 0; key < 300; key++) {
      add(key, 1 + (int) ((key * 7919) % 300) * 300);
      if ((key * 7919) % 300 >= 200) {
        frequent.add(key);
      }
    }
    assertEquals(frequent, keys(counts.keep(1, 100, 100), LongStream.range(0, 300)));
  }
}
