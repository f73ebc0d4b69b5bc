// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Comparator;
import java.util.stream.IntStream;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(Seeded.class)
final class RadixSortTest {
  /** The values are close to each power of the digits' base. */
  @ParameterizedTest
  @ValueSource(
      ints = {
        1,
        2,
        3,
        1000,
        2047,
        2048,
        2049,
        4096,
        4097,
        1 << 21,
        (1 << 22) - 1,
        1 << 22,
        (1 << 22) + 1,
        1 << 30,
        Integer.MAX_VALUE
      })
  void sortsStably(int bound, Data data) {
    for (int length : new int[] {0, 1, 2, 3, 100, 5000}) {
      int[] keys = data.indices(length, bound);
      for (int i = 0; i + 1 < length; i += 3) {
        keys[i + 1] = keys[i];
      }
      if (length > 2) {
        keys[1] = bound - 1;
        keys[2] = 0;
      }
      int[] backwards = IntStream.range(0, length).map(i -> length - 1 - i).toArray();
      int[] expected =
          IntStream.of(backwards)
              .boxed()
              .sorted(Comparator.comparingInt(item -> keys[item]))
              .mapToInt(Integer::intValue)
              .toArray();
      assertArrayEquals(
          expected, RadixSort.sort(keys, bound, backwards.clone()), length + " below " + bound);
    }
  }
}
