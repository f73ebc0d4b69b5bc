// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class ChunkedIntListTest {
  private static final int MANY = 300_000; // more than fit into a few arrays

  private static ChunkedIntList upTo(int count) {
    ChunkedIntList numbers = new ChunkedIntList();
    IntStream.range(0, count).forEach(numbers::add);
    return numbers;
  }

  @Test
  void numbers_areThoseThatWereAdded_orSet() {
    int[] expected = IntStream.range(0, MANY).toArray();
    ChunkedIntList numbers = upTo(MANY);
    assertArrayEquals(expected, numbers.toArray());
    for (int i = 0; i < MANY; i += 1000) {
      expected[i] = -i;
      numbers.set(i, -i);
      assertEquals(-i, numbers.get(i));
    }
    assertEquals(MANY, numbers.size());
    assertArrayEquals(expected, numbers.toArray());
    int[] part = new int[MANY];
    numbers.copy(1000, MANY - 2000, part, 7);
    assertArrayEquals(
        Arrays.copyOfRange(expected, 1000, MANY - 1000), Arrays.copyOfRange(part, 7, MANY - 1993));
  }

  @Test
  void whatIsCutOff_isNoMore_andOthersFollow() {
    for (int size : new int[] {0, 1, 1 << 16, (1 << 16) + 1, 2 << 16, MANY - 1, MANY}) {
      ChunkedIntList numbers = upTo(MANY);
      numbers.truncate(size);
      IntStream.range(size, MANY).forEach(numbers::add);
      assertArrayEquals(IntStream.range(0, MANY).toArray(), numbers.toArray());
    }
  }

  @Test
  void counts_areOfAll() {
    ChunkedIntList numbers = new ChunkedIntList();
    IntStream.range(0, MANY).forEach(i -> numbers.add(i % 3));
    assertArrayEquals(new int[] {MANY / 3, MANY / 3, MANY / 3, 0}, numbers.counts(4));
  }

  @Test
  void moreThanThereMayBe_areRefused() {
    ChunkedIntList numbers = new ChunkedIntList(2);
    numbers.add(1);
    numbers.add(2);
    assertThrows(ChunkedIntList.FullException.class, () -> numbers.add(3));
    assertArrayEquals(new int[] {1, 2}, numbers.toArray());
  }
}
