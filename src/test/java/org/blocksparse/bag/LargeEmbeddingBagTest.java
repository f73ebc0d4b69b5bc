// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.LargeTensorTest;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * Tables with more elements than an int can count. They reserve address space; physical memory is
 * used only where they are written. {@code -Dblocksparse.large=DIR} also runs the test that draws
 * 10 million rows, 2.6 GB.
 */
final class LargeEmbeddingBagTest {
  private static final int FEATURES = 64;

  @BeforeEach
  void needsTheNativeLibrary() {
    assumeTrue(Backend.isNative(), "direct buffers are limited to the size of the heap");
  }

  /** Checks sums and steps at both ends of the table, and around 2^31 elements. */
  private static void checkSumsAndSteps(EmbeddingBag bag) {
    int middle = Math.min(1 << 25, bag.vocabulary() - 2);
    int last = bag.vocabulary() - 1;
    int[] chosen = {0, middle - 1, middle, middle + 1, last};
    for (int row : chosen) {
      for (int q = 0; q < FEATURES; q++) {
        bag.table().set(row % 1000 + q, row, q);
      }
    }
    try (SparseRows rows = SparseRows.of(List.of(chosen));
        FloatTensor out = bag.apply(rows);
        FloatTensor gradOut = FloatTensor.zeros(1, FEATURES)) {
      float expected = 0;
      for (int row : chosen) {
        expected += row % 1000;
      }
      for (int q = 0; q < FEATURES; q++) {
        assertEquals(expected + chosen.length * q, out.get(0, q), "column " + q);
      }
      gradOut.fill(3);
      // A first step of Adagrad has the length of the rate, whatever the gradient is.
      bag.step(rows, gradOut, Optimizer.adagrad(0.5f));
      for (int row : chosen) {
        assertEquals(row % 1000 + 63 - 0.5f, bag.table().get(row, 63), 1e-4f, "row " + row);
      }
    }
  }

  @Test
  void moreElementsThanAnIntCounts() {
    int vocabulary = (1 << 25) + 5;
    try (EmbeddingBag bag =
        EmbeddingBag.builder(vocabulary, FEATURES)
            .mode(Mode.SUM)
            .build(LargeTensorTest.large(vocabulary, FEATURES))) {
      checkSumsAndSteps(bag);
    }
  }

  @Test
  @EnabledIfSystemProperty(named = "blocksparse.large", matches = ".+")
  void tenMillionRows() {
    try (EmbeddingBag bag =
        EmbeddingBag.builder(10_000_000, FEATURES).mode(Mode.SUM).seed(1).build()) {
      float[] row = new float[FEATURES];
      bag.table().get(9_999_999L * FEATURES, row, 0, FEATURES);
      long before = 9_999_999L * FEATURES;
      SplittableRandom random = new SplittableRandom(1 + before * 0x9E3779B97F4A7C15L);
      for (float value : row) {
        assertEquals((2 * random.nextFloat() - 1) * (1f / FEATURES), value);
        assertTrue(value != 0);
      }
      checkSumsAndSteps(bag);
    }
  }
}
