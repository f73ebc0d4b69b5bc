// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A search that rules out nothing notices, and opens what is left at once. */
final class SearchRoundsTest {
  private static final int CLASSES = 256;
  private static final int OUTPUTS = CLASSES * 256;
  private static final int FEATURES = 128;

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
      x.set(0.01f, 0, 0); // hardly anything is known
      helpersAsked.set(0);
      Ranking ranking = layer.topK(x, 10);
      // Rounds of a few classes ask for no help; the one of all others does, once.
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
