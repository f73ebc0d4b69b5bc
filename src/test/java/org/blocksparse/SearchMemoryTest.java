// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A search or scoring takes no more memory than it promises, however large classes and batch are.
 */
final class SearchMemoryTest {
  /** Cases with few large classes, and with many of one slot. */
  @ParameterizedTest
  @CsvSource({"2, 200000, 512", "40000, 40000, 450"})
  void roundsAreCut(int classes, int outputs, int batch) {
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(2, outputs)
                .classes(classes)
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
      // A total opens two large classes for each row.
      Filter filter = Filter.without(5, outputs / 4 * 3).withRenormalization();
      Ranking filtered = layer.topK(x, 3, filter);
      long taken = FloatTensor.allocatedBytes() - before;
      // 64 MB of results, or 16 MB of log probabilities of many classes; schedules are small.
      assertTrue(taken <= (64 << 20) + (1 << 20), taken + " bytes");
      for (int row : new int[] {0, 1, 2, 3, 4, 5, 6, 200, batch - 1}) {
        one.set(row % 7 - 3, 0, 0);
        assertArrayEquals(layer.topK(one, 3).outputs(0), ranking.outputs(row), "row " + row);
        assertEquals(3, filtered.size(row));
      }
    }
  }

  /** Cases with few large classes, and with many of one slot. */
  @ParameterizedTest
  @CsvSource({"2, 200000, 512, 3", "40000, 40000, 3000, 1"})
  void scoringIsCut(int classes, int outputs, int batch, int candidates) {
    SplittableRandom random = new SplittableRandom(1);
    int[] targets = random.ints((long) batch * candidates, 0, outputs).toArray();
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(2, outputs)
                .classes(classes)
                .workers(Workers.callingThread())
                .seed(1)
                .build();
        FloatTensor x = FloatTensor.zeros(batch, 2);
        IntTensor all = IntTensor.of(targets, batch, candidates)) {
      for (int row = 0; row < batch; row++) {
        x.set(row % 7 - 3, row, 0);
      }
      layer.retire(targets[targets.length - 1]);
      long before = FloatTensor.allocatedBytes();
      float[] scores;
      try (FloatTensor scored = layer.logProbabilitiesOf(x, all)) {
        scores = scored.toArray();
      }
      long taken = FloatTensor.allocatedBytes() - before;
      assertTrue(taken <= (64 << 20) + (2 << 20), taken + " bytes");
      for (int row = 0; row < batch; row += 1 + batch / 9) {
        try (FloatTensor one = FloatTensor.of(new float[] {row % 7 - 3, 0}, 1, 2);
            FloatTensor wanted = layer.logProbabilities(one)) {
          for (int i = row * candidates; i < (row + 1) * candidates; i++) {
            assertEquals(wanted.get(0, targets[i]), scores[i], 1e-5, "row " + row);
          }
        }
      }
    }
  }
}
