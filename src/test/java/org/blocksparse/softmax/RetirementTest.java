// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.softmax.GrowingLayer.CLASSES;
import static org.blocksparse.softmax.GrowingLayer.FEATURES;
import static org.blocksparse.softmax.GrowingLayer.ROWS;
import static org.blocksparse.softmax.GrowingLayer.assertHasNoState;
import static org.blocksparse.softmax.GrowingLayer.assertIsWell;
import static org.blocksparse.softmax.GrowingLayer.columns;
import static org.blocksparse.softmax.GrowingLayer.logProbabilities;
import static org.blocksparse.softmax.GrowingLayer.train;
import static org.blocksparse.softmax.GrowingLayer.trained;
import static org.blocksparse.softmax.GrowingLayer.untrained;
import static org.blocksparse.softmax.GrowingLayer.x;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.ranking.Filter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Layers that lose outputs, and reuse their numbers. */
final class RetirementTest {
  /** The outputs that remain without 0, 6 and 7. */
  private static final int[] LEFT = {1, 2, 3, 4, 5, 8};

  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void retiredOutputsHaveNoProbability(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer)) {
      double[][] before = logProbabilities(layer);
      float[][] columns = columns(layer, LEFT);
      FloatTensor w2 = layer.W2();
      layer.retire(6, 0, 7, 6);
      layer.retire(0);
      layer.retire();
      assertTrue(
          Dense.from(w2).storage().isSameMemory(Dense.from(layer.W2()).storage()), "in place");
      assertEquals(9, layer.outputs());
      assertEquals("9 outputs in 3 classes of up to 4, 3 of them retired", layer.assignment() + "");
      assertArrayEquals(columns, columns(layer, LEFT));
      double[][] after = logProbabilities(layer);
      for (int row = 0; row < ROWS; row++) {
        for (int output = 0; output < 9; output++) {
          boolean retired = Arrays.binarySearch(LEFT, output) < 0;
          assertEquals(retired, layer.assignment().isRetired(output));
          double wanted =
              retired ? Double.NEGATIVE_INFINITY : wanted(kind, before[row], CLASSES, output);
          assertEquals(wanted, after[row][output], 1e-5);
        }
      }
      assertIsWell(layer);
    }
  }

  /**
   * Returns the expected log probability: in a softmax, the rest of a class shares the probability
   * of all of it; in a tree, it is unchanged.
   */
  private static double wanted(LayerKind kind, double[] logs, ClassAssignment classes, int output) {
    if (kind == LayerKind.LABEL_TREE) {
      return logs[output];
    }
    int c = classes.classOf(output);
    double all =
        IntStream.range(0, 9)
            .filter(o -> classes.classOf(o) == c)
            .mapToDouble(o -> Math.exp(logs[o]))
            .sum();
    double ofLeft =
        Arrays.stream(LEFT)
            .filter(o -> classes.classOf(o) == c)
            .mapToDouble(o -> Math.exp(logs[o]))
            .sum();
    return logs[output] + Math.log(all / ofLeft);
  }

  @ParameterizedTest
  @EnumSource
  void retiredOutputsAreNotFound(LayerKind kind) {
    try (TwoLevelLayer<?> layer = trained(kind, Optimizer.adagrad(.1f));
        FloatTensor x = x();
        IntTensor candidates = IntTensor.of(new int[] {0, 1, 6, 8, 2, 7, 3, 4}, ROWS, 2)) {
      layer.retire(0, 6, 7);
      double[][] all = logProbabilities(layer);
      try (FloatTensor scores = layer.logProbabilitiesOf(x, candidates);
          FloatTensor probabilities = layer.probabilitiesOf(x, candidates)) {
        assertEquals(all[0][1], scores.get(0, 1), 1e-6);
        assertEquals(Float.NEGATIVE_INFINITY, scores.get(0, 0));
        assertEquals(Float.NEGATIVE_INFINITY, scores.get(2, 1));
        assertEquals(0, probabilities.get(1, 0));
      }
      assertEquals(6, layer.topK(x, 100).size(0));
      assertEquals(6, layer.atLeast(x, 1e-30).size(1));
      assertEquals(List.of(), notLeft(layer.topK(x, 100).outputs(2)));
      // Filters may name retired outputs, which has no effect.
      assertEquals(5, layer.topK(x, 100, Filter.without(0, 1, 7)).size(0));
      assertArrayEquals(new int[] {8}, layer.topK(x, 9, Filter.only(0, 8)).outputs(0));
      assertTrue(layer.topK(x, 9, Filter.only(0, 6)).isFilteredOut(0));
      assertTrue(layer.topK(x, 9, Filter.without(LEFT)).isFilteredOut(0));
      assertFalse(layer.topK(x, 9, Filter.without(0, 0, 0, 6, 6, 7)).isFilteredOut(0));
    }
  }

  @Test
  void retiredOutputsAreNotDrawn() {
    try (TwoLevelLayer<?> layer = trained(LayerKind.SOFTMAX, Optimizer.adagrad(.1f));
        FloatTensor x = x()) {
      layer.retire(0, 6, 7);
      HierarchicalSoftmax softmax = (HierarchicalSoftmax) layer;
      assertEquals(6, softmax.topP(x, 1).size(1));
      assertEquals(List.of(), notLeft(softmax.sample(x, new SplittableRandom(1))));
    }
  }

  private static List<Integer> notLeft(int[] outputs) {
    return Arrays.stream(outputs).filter(o -> Arrays.binarySearch(LEFT, o) < 0).boxed().toList();
  }

  /** Returns a layer whose outputs are the remaining ones, in order. */
  private static TwoLevelLayer<?> withoutRetired(LayerKind kind, TwoLevelLayer<?> layer) {
    int[] classOf = Arrays.stream(LEFT).map(layer.assignment()::classOf).toArray();
    int[] slotOf = Arrays.stream(LEFT).map(layer.assignment()::slotOf).toArray();
    int slots = layer.assignment().slots();
    ClassTable left = ClassTable.of(classOf, slotOf, layer.classCount(), slots);
    return kind.of(layer, new ClassAssignment(left));
  }

  @ParameterizedTest
  @EnumSource
  void withoutRetiredOutputsItTrainsAsALayerThatNeverHadThem(LayerKind kind) {
    try (TwoLevelLayer<?> layer = untrained(kind)) {
      layer.retire(0, 6, 7);
      Optimizer sgd = Optimizer.sgd(.1f);
      try (TwoLevelLayer<?> small = withoutRetired(kind, layer);
          FloatTensor x = x()) {
        int[] targets = {1, 3, 5, 8};
        int[] ofSmall = {0, 2, 4, 5};
        assertEquals(LayerKind.loss(small, x, ofSmall), LayerKind.loss(layer, x, targets), 0);
        assertEquals(
            LayerKind.step(small, x, sgd, ofSmall), LayerKind.step(layer, x, sgd, targets), 0);
        assertArrayEquals(small.W2().toArray(), layer.W2().toArray());
        assertArrayEquals(small.b1().toArray(), layer.b1().toArray());
        double[][] logs = logProbabilities(layer);
        double[][] logsOfSmall = logProbabilities(small);
        for (int i = 0; i < LEFT.length; i++) {
          assertEquals(logsOfSmall[3][i], logs[3][LEFT[i]], 0);
        }
      }
    }
  }

  /** Retired outputs get no share of the smoothing. */
  @Test
  void smoothingIsOverWhatIsLeft() {
    try (TwoLevelLayer<?> layer = untrained(LayerKind.SOFTMAX)) {
      layer.retire(0, 6, 7);
      Loss loss = Loss.mean().withSmoothing(.2f);
      Optimizer sgd = Optimizer.sgd(.1f);
      try (TwoLevelLayer<?> small = withoutRetired(LayerKind.SOFTMAX, layer);
          FloatTensor x = x();
          IntTensor targets = IntTensor.of(new int[] {1, 3, 5, 8}, ROWS);
          IntTensor ofSmall = IntTensor.of(new int[] {0, 2, 4, 5}, ROWS)) {
        double wanted = ((HierarchicalSoftmax) small).step(x, ofSmall, loss, sgd, null);
        assertEquals(wanted, ((HierarchicalSoftmax) layer).step(x, targets, loss, sgd, null), 0);
        assertArrayEquals(small.W2().toArray(), layer.W2().toArray());
        assertArrayEquals(small.b1().toArray(), layer.b1().toArray());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void aClassWithoutOutputsIsDropped(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer)) {
      double[][] before = logProbabilities(layer);
      int[] left = {0, 2, 5, 6, 7, 8};
      float[][] columns = columns(layer, left);
      layer.retire(4, 1, 3);
      assertEquals(2, layer.classCount());
      assertEquals(Shape.of(FEATURES, 2), layer.W1().shape());
      assertArrayEquals(columns, columns(layer, left));
      double[][] after = logProbabilities(layer);
      for (int row = 0; row < ROWS; row++) {
        // Outputs of class 2, which lost none, keep their ratios.
        for (int output : new int[] {6, 7, 8}) {
          assertEquals(
              before[row][output] - before[row][5], after[row][output] - after[row][5], 1e-5);
        }
        for (int output : left) {
          assertEquals(
              kind == LayerKind.LABEL_TREE,
              Math.abs(before[row][output] - after[row][output]) < 1e-5);
        }
      }
      assertIsWell(layer);
      train(layer, optimizer, 0, 2, 5, 8);
    }
  }

  @ParameterizedTest
  @MethodSource("org.blocksparse.softmax.GrowingLayer#kindsAndOptimizers")
  void numbersAreReusedWhenAsked(LayerKind kind, Optimizer optimizer) {
    try (TwoLevelLayer<?> layer = trained(kind, optimizer)) {
      layer.retire(7, 8, 0);
      assertEquals(9, layer.addOutputs(1), "a new number");
      int[] others = {1, 2, 3, 4, 5, 6, 9};
      float[][] before = columns(layer, others);
      layer.reuse(8, 0);
      layer.reuse();
      assertFalse(layer.assignment().isRetired(8));
      assertFalse(layer.assignment().isRetired(0));
      assertTrue(layer.assignment().isRetired(7));
      assertArrayEquals(before, columns(layer, others));
      assertEquals(10, layer.outputs());
      assertIsWell(layer);
      assertHasNoState(layer, 8);
      assertHasNoState(layer, 0);
      train(layer, optimizer, 8, 0, 9, 1);
    }
  }
}
