// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static java.math.BigInteger.TWO;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

final class KeyTableTest {
  @Test
  void numbersKeysAsAMapWould() {
    SplittableRandom random = new SplittableRandom(1);
    KeyTable table = new KeyTable();
    Map<Long, Integer> map = new HashMap<>();
    for (int i = 0; i < 100_000; i++) {
      long key = random.nextLong(1L << 40) & (i % 2 == 0 ? ~0L : 0xfff); // far apart, and in a row
      int expected = map.computeIfAbsent(key, k -> map.size());
      assertEquals(expected, table.add(key));
    }
    assertEquals(map.size(), table.size());
    map.forEach(
        (key, number) -> {
          assertEquals(number, table.find(key));
          assertEquals(key, table.key(number));
        });
    assertTrue(table.find(1L << 41) < 0);
  }

  /** These keys have the same hash under a known multiplier: here that of Fibonacci hashing. */
  @Test
  @Timeout(value = 120, threadMode = ThreadMode.SEPARATE_THREAD) // a quadratic table takes minutes
  void keysThatWereChosenToMeet_doNot() {
    long inverse = new BigInteger("9E3779B97F4A7C15", 16).modInverse(TWO.pow(64)).longValue();
    KeyTable table = new KeyTable();
    for (int i = 0; i < 1_000_000; i++) {
      assertEquals(i, table.add(inverse * i)); // the product is i, whose upper bits are 0
    }
  }

  @Test
  void vocabulary_isTheSameAfterDecoding() {
    KeyTable keys = new KeyTable();
    SplittableRandom random = new SplittableRandom(2);
    for (int i = 0; i < 1000; i++) {
      keys.add(random.nextLong(1L << FeatureVocabulary.KEY_BITS));
    }
    keys.add((1L << FeatureVocabulary.KEY_BITS) - 1);
    keys.add(0);
    FeatureVocabulary decoded =
        FeatureVocabulary.decode(FeatureVocabulary.of(keys).encoded(), keys.size());
    for (int row = 0; row < keys.size(); row++) {
      assertEquals(row, decoded.row(keys.key(row)));
    }
    assertEquals(keys.size(), decoded.rows());
  }

  @Test
  void vocabulary_refusesOtherTexts() {
    KeyTable keys = new KeyTable();
    keys.add(5);
    String one = FeatureVocabulary.of(keys).encoded();
    assertThrows(IllegalArgumentException.class, () -> FeatureVocabulary.decode(one, 2));
    assertThrows(
        IllegalArgumentException.class, () -> FeatureVocabulary.decode("AAAAAAUAAAAABQ", 2));
    assertThrows(IllegalArgumentException.class, () -> FeatureVocabulary.decode("no base 64!", 1));
  }
}
