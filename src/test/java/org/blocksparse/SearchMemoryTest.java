// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** A search takes no more memory than it promises, however large classes and batch are. */
final class SearchMemoryTest {
  @Test
  void roundsOfLargeClassesAreCut() {
    int outputs = 200_000;
    int batch = 512;
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(2, outputs)
                .classes(2)
                .workers(Workers.callingThread())
                .seed(1)
                .build();
        FloatTensor x = FloatTensor.zeros(batch, 2);
        FloatTensor one = FloatTensor.zeros(1, 2)) {
      for (int row = 0; row < batch; row++) {
        x.set(row % 7 - 3, row, 0);
      }
      long before = FloatTensor.allocatedBytes();
      Ranking ranking = layer.topK(x, 3);
      // To find a total, both classes are opened for each row.
      Ranking filtered = layer.topK(x, 3, Filter.without(5, 150_000).withRenormalization());
      long taken = FloatTensor.allocatedBytes() - before;
      // 64 MB of results; log probabilities of the classes and schedules are small.
      assertTrue(taken <= (64 << 20) + (1 << 20), taken + " bytes");
      for (int row : new int[] {0, 1, 2, 3, 4, 5, 6, 200, 511}) {
        one.set(row % 7 - 3, 0, 0);
        assertArrayEquals(layer.topK(one, 3).outputs(0), ranking.outputs(row), "row " + row);
        assertEquals(3, filtered.size(row));
      }
    }
  }
}
