// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;

/** The number of rows and classes that a search takes at a time, which does not affect results. */
final class SearchRoundsTest {
  private static final int CLASSES = 256;
  private static final int OUTPUTS = CLASSES * 256;
  private static final int FEATURES = 128;

  /** With this many classes, each row is a slice of its own. */
  @Test
  void rowsOfLaterSlicesAreAsTheyAreAlone() {
    int outputs = (1 << 21) + 1;
    float[] features = {1, -1, 2, Float.NaN, -2, 3};
    List<int[]> allowed =
        List.of(
            new int[] {5},
            new int[0],
            new int[] {3, 7, 9},
            new int[] {1, 2},
            new int[0],
            new int[] {4});
    try (HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(1, outputs).classes(outputs).seed(1).build()) {
      assertEquals(outputs, layer.b1().shape().size());
      List<Ranking> ofAll = rankings(layer, features, allowed);
      for (int row = 0; row < features.length; row++) {
        List<Ranking> ofOne =
            rankings(layer, new float[] {features[row]}, List.of(allowed.get(row)));
        for (int i = 0; i < ofAll.size(); i++) {
          Ranking actual = ofAll.get(i);
          Ranking expected = ofOne.get(i);
          assertArrayEquals(expected.outputs(0), actual.outputs(row));
          assertArrayEquals(expected.logProbabilities(0), actual.logProbabilities(row));
          assertEquals(expected.openedClasses(0), actual.openedClasses(row));
          assertEquals(allowed.get(row).length == 0, actual.isFilteredOut(row));
          assertEquals(row != 3, actual.isDefined(row));
        }
      }
    }
  }

  private static List<Ranking> rankings(
      HierarchicalSoftmax layer, float[] features, List<int[]> allowed) {
    try (FloatTensor x = FloatTensor.of(features, features.length, 1);
        SparseRows rows = SparseRows.of(allowed)) {
      Filter only = Filter.only(rows);
      return List.of(layer.topK(x, 2, only), layer.topP(x, 0.9, only.withRenormalization()));
    }
  }

  /** A search that cannot exclude any class notices that, and opens the rest at once. */
  @Test
  void ofEqualClassesThereAreFewRounds() {
    AtomicInteger helpersAsked = new AtomicInteger();
    Workers workers =
        Workers.of(
            helper -> {
              helpersAsked.incrementAndGet();
              helper.run();
            },
            2);
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(FEATURES, OUTPUTS)
                .classes(CLASSES)
                .workers(workers)
                .seed(1)
                .build();
        FloatTensor x = FloatTensor.zeros(1, FEATURES)) {
      x.set(0.01f, 0, 0); // makes the row nearly uniform
      helpersAsked.set(0);
      Ranking ranking = layer.topK(x, 10);
      // Rounds of a few classes ask for no help; the round of all others does, once.
      int asked = helpersAsked.get();
      assertTrue(asked <= 1, asked + " times for help");
      assertEquals(CLASSES, ranking.openedClasses(0));
      try (FloatTensor all = layer.logProbabilities(x)) {
        float[] values = all.toArray();
        Integer[] expected =
            IntStream.range(0, OUTPUTS)
                .boxed()
                .sorted((a, b) -> Float.compare(values[b], values[a]))
                .limit(10)
                .toArray(Integer[]::new);
        assertArrayEquals(
            Arrays.stream(expected).mapToInt(Integer::intValue).toArray(), ranking.outputs(0));
      }
    }
  }
}
