// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.testing.BagProblem;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** An embedding bag apart from its formulas: initial values, workers, optimizer state, lifetime. */
@ExtendWith(Seeded.class)
final class EmbeddingBagTest {
  /**
   * The layers of one model begin independently: above all the table, which begins at the same
   * seed.
   */
  @Test
  void layersOfEqualSeedsBeginIndependently() {
    for (long seed : new long[] {0, 1, 42, -7, Long.MIN_VALUE, 0x9e3779b97f4a7c15L}) {
      try (EmbeddingBag bag = EmbeddingBag.builder(9000, 8).seed(seed).build();
          HierarchicalSoftmax softmax =
              HierarchicalSoftmax.builder(8, 4000).classes(50).seed(seed).build();
          LabelTree tree = LabelTree.builder(8, 4000).classes(50).seed(seed).build()) {
        float[] table = bag.table().toArray();
        requireIndependent(table, softmax.W1().toArray(), softmax.W2().toArray());
        requireIndependent(table, tree.W1().toArray(), tree.W2().toArray());
      }
    }
  }

  private static void requireIndependent(float[] table, float[] W1, float[] W2) {
    float[] both = Arrays.copyOf(W1, W1.length + W2.length);
    System.arraycopy(W2, 0, both, W1.length, W2.length);
    for (int lag = 0; lag < 50; lag++) {
      requireIndependent(table, lag, both, 0);
      requireIndependent(table, 0, both, lag);
    }
    requireIndependent(table, 0, W2, 0);
  }

  /** The correlation of n independent pairs has a standard deviation of 1 / sqrt(n). */
  private static void requireIndependent(float[] one, int from, float[] other, int fromOther) {
    int n = Math.min(one.length - from, other.length - fromOther);
    double product = 0;
    double squares = 0;
    double otherSquares = 0;
    for (int i = 0; i < n; i++) {
      double a = one[from + i];
      double b = other[fromOther + i];
      product += a * b;
      squares += a * a;
      otherSquares += b * b;
    }
    double correlation = product / Math.sqrt(squares * otherSquares);
    assertEquals(0, correlation, 5 / Math.sqrt(n), from + " and " + fromOther);
  }

  @Test
  void initialTable_isUniform_andDependsOnTheSeedAlone() {
    int vocabulary = 10_000;
    int features = 50;
    ExecutorService executor = Executors.newFixedThreadPool(7);
    try (EmbeddingBag layer = EmbeddingBag.builder(vocabulary, features).seed(5).build();
        EmbeddingBag alone =
            EmbeddingBag.builder(vocabulary, features)
                .workers(Workers.callingThread())
                .seed(5)
                .build();
        EmbeddingBag many =
            EmbeddingBag.builder(vocabulary, features)
                .workers(Workers.of(executor, 7))
                .seed(5)
                .build();
        EmbeddingBag other = EmbeddingBag.builder(vocabulary, features).build()) {
      float[] table = layer.table().toArray();
      SplittableRandom random = new SplittableRandom(5 ^ 0x3C79AC492BA7B653L);
      double sum = 0;
      float largest = 0;
      for (float value : table) {
        assertEquals((2 * random.nextFloat() - 1) * (1f / features), value);
        sum += value;
        largest = Math.max(largest, Math.abs(value));
      }
      assertTrue(largest <= 1f / features && largest > 0.9999f / features);
      // The standard error of the mean is 0.58 / 50 / sqrt(500,000).
      assertEquals(0, sum / table.length, 1e-4);
      assertArrayEquals(table, alone.table().toArray());
      assertArrayEquals(table, many.table().toArray());
      assertFalse(Arrays.equals(table, other.table().toArray()));
    } finally {
      executor.shutdownNow();
    }
  }

  /**
   * Returns bags like those of texts: index 0 is in most of them several times, others are rare.
   */
  private static BagProblem skewed(Data data) {
    BagProblem p =
        BagProblem.random(
            data,
            Numbers.GAUSSIAN,
            true,
            5000,
            64,
            IntStream.generate(() -> 44).limit(512).toArray());
    for (int e = 0; e < p.indices().length; e++) {
      if (e % 5 == 0) {
        p.indices()[e] = 0;
      } else if (e % 5 == 1) {
        p.indices()[e] = data.below(7);
      }
    }
    return p;
  }

  @Test
  void bits_doNotDependOnTheWorkers(Data data) {
    BagProblem p = skewed(data);
    ExecutorService executor = Executors.newFixedThreadPool(8);
    List<float[]> results = new ArrayList<>();
    try (SparseRows rows = SparseRows.of(p.offsets(), p.indices(), p.values());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), p.bags(), p.features())) {
      for (Workers workers :
          List.of(Workers.callingThread(), Workers.of(executor, 2), Workers.of(executor, 7))) {
        try (EmbeddingBag layer =
            EmbeddingBag.builder(5000, 64)
                .mode(Mode.ROOT_MEAN)
                .workers(workers)
                .build(FloatTensor.of(p.table(), 5000, 64))) {
          for (Optimizer optimizer :
              List.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.01f))) {
            layer.step(rows, gradOut, optimizer.withMaxNorm(3));
          }
          try (FloatTensor out = layer.apply(rows);
              FloatTensor gradValues = layer.gradValues(rows, gradOut)) {
            results.add(layer.table().toArray());
            results.add(out.toArray());
            results.add(gradValues.toArray());
          }
        }
      }
    } finally {
      executor.shutdownNow();
    }
    for (int i = 3; i < results.size(); i++) {
      assertArrayEquals(results.get(i % 3), results.get(i), "result " + i);
    }
  }

  @Test
  void adam_isLazy_eachRowCountsItsOwnSteps() {
    try (EmbeddingBag layer =
            EmbeddingBag.builder(2, 1).mode(Mode.SUM).build(FloatTensor.zeros(2, 1));
        SparseRows both = SparseRows.of(List.of(new int[] {0, 1}));
        SparseRows first = SparseRows.of(List.of(new int[] {0}));
        FloatTensor gradOut = FloatTensor.of(new float[] {1}, 1, 1)) {
      Optimizer adam = Optimizer.adam(0.1f);
      layer.step(first, gradOut, adam);
      layer.step(first, gradOut, adam);
      float before = layer.table().get(0, 0);
      assertEquals(0, layer.table().get(1, 0));
      // A first step of Adam has the length of the rate, and so has each step with an equal
      // gradient.
      layer.step(both, gradOut, adam);
      assertEquals(-0.1f, layer.table().get(1, 0), 1e-6);
      assertEquals(before - 0.1f, layer.table().get(0, 0), 1e-6);
    }
  }

  @Test
  void state_isForgottenWithAnotherRule() {
    try (EmbeddingBag layer =
            EmbeddingBag.builder(1, 1).mode(Mode.SUM).build(FloatTensor.zeros(1, 1));
        SparseRows rows = SparseRows.of(List.of(new int[] {0}));
        FloatTensor gradOut = FloatTensor.of(new float[] {4}, 1, 1)) {
      layer.step(rows, gradOut, Optimizer.adagrad(1));
      layer.step(rows, gradOut, Optimizer.sgd(0.25f));
      layer.step(rows, gradOut, Optimizer.adagrad(1));
      assertEquals(-3, layer.table().get(0, 0), 1e-6);
    }
  }

  @Test
  void closing_freesTableAndState() {
    long before = FloatTensor.allocatedBytes();
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0}));
        FloatTensor gradOut = FloatTensor.zeros(1, 500);
        EmbeddingBag layer = EmbeddingBag.builder(1000, 500).build()) {
      layer.step(rows, gradOut, Optimizer.adam(1));
      assertTrue(FloatTensor.allocatedBytes() - before >= 3 * 4 * 500_000);
    }
    // The rest is scratch.
    assertTrue(FloatTensor.allocatedBytes() - before < 100_000);
  }

  @Test
  void aStringTellsTheSizes() {
    try (EmbeddingBag layer = EmbeddingBag.builder(3, 2).workers(Workers.callingThread()).build()) {
      assertEquals("EmbeddingBag(3 x 2, MEAN, 24 bytes, Workers(1))", layer.toString());
      assertEquals(Mode.MEAN, layer.mode());
    }
  }
}
