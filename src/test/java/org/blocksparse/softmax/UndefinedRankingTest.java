// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows with a NaN have no ranking, rather than a wrong one. */
final class UndefinedRankingTest {
  private static final int FEATURES = 4;
  private static final int CLASSES = 3;
  private static final int SLOTS = 5;

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.forBlocks(FEATURES, SLOTS).stream();
  }

  /** Returns a layer whose class 1 is the likeliest by far for row 0, and class 2 for row 1. */
  private static HierarchicalSoftmax layer(Workers workers) {
    HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(FEATURES, CLASSES * SLOTS)
            .classes(CLASSES)
            .workers(workers)
            .seed(1)
            .build();
    layer.W1().fill(0);
    layer.W1().set(20, 0, 1);
    layer.W1().set(20, 1, 2);
    return layer;
  }

  private static FloatTensor x() {
    return FloatTensor.of(new float[] {1, 0, 0, 0, 0, 1, 0, 0}, 2, FEATURES);
  }

  private static void assertOnlyRow1(HierarchicalSoftmax layer, FloatTensor x) {
    BiFunction<HierarchicalSoftmax, FloatTensor, Ranking> topK = (l, rows) -> l.topK(rows, 1);
    BiFunction<HierarchicalSoftmax, FloatTensor, Ranking> topP = (l, rows) -> l.topP(rows, 0.1);
    BiFunction<HierarchicalSoftmax, FloatTensor, Ranking> atLeast =
        (l, rows) -> l.atLeast(rows, 0.01);
    for (BiFunction<HierarchicalSoftmax, FloatTensor, Ranking> search :
        Stream.of(topK, topP, atLeast).toList()) {
      Ranking ranking = search.apply(layer, x);
      assertFalse(ranking.isDefined(0));
      assertEquals(0, ranking.size(0));
      assertEquals(0, ranking.outputs(0).length);
      assertEquals(0, ranking.logProbabilities(0).length);
      assertFails(
          IndexOutOfBoundsException.class,
          "rank 0: row 0 has no ranking, since a probability is NaN: x or the parameters hold"
              + " values that are not finite",
          () -> ranking.output(0, 0));
      assertTrue(ranking.isDefined(1));
      assertTrue(ranking.size(1) > 0);
      assertEquals(2, ranking.output(1, 0) / SLOTS);
      assertTrue(ranking.toString().contains("0: undefined"), ranking.toString());
    }
    assertFails(
        ArithmeticException.class,
        "row 0: the probabilities are not numbers",
        () -> layer.sample(x, new SplittableRandom(1)));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aWeightOfTheLikeliestClassIsNaN(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = x()) {
      // One output is NaN: its class is undefined as a whole.
      layer.W2().set(Float.NaN, 1, 0, 3);
      assertOnlyRow1(layer, x);
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aBiasOfTheLikeliestClassIsInfinite(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = x()) {
      layer.b2().set(Float.POSITIVE_INFINITY, 1, 0);
      assertOnlyRow1(layer, x);
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aRowOfXIsNaN(KernelsUnderTest kernels) {
    try (HierarchicalSoftmax layer = layer(kernels.workers());
        FloatTensor x = x()) {
      x.set(Float.NaN, 0, 2);
      assertOnlyRow1(layer, x);
    }
  }

  /** A class that stays closed does not matter. */
  @Test
  void whatIsNotLookedAtMayBeNaN() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = x()) {
      layer.W2().set(Float.NaN, 0, 0, 3);
      Ranking ranking = layer.topK(x, 1);
      assertTrue(ranking.isDefined(0));
      assertEquals(1, ranking.output(0, 0) / SLOTS);
    }
  }

  /** A NaN that is computed for the row counts, although a filter leaves it out. */
  @Test
  void aClassThatIsNaNCountsWhateverAFilterSays() {
    try (LabelTree layer = LabelTree.builder(FEATURES, CLASSES * SLOTS).classes(CLASSES).build();
        FloatTensor x = x()) {
      Filter others = Filter.only(SLOTS, SLOTS + 1);
      assertTrue(layer.topK(x, 1, others).isDefined(0));
      layer.b1().set(Float.NaN, 2);
      assertFalse(layer.topK(x, 1, others).isDefined(0));
      assertFalse(layer.topK(x, 1).isDefined(0));
    }
  }

  @Test
  void aRowWithoutOutputsSaysSo() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = x()) {
      Ranking ranking = layer.atLeast(x, 1);
      assertTrue(ranking.isDefined(0));
      assertFails(
          IndexOutOfBoundsException.class,
          "rank 0: row 0 has no outputs",
          () -> ranking.probability(0, 0));
    }
  }

  @Test
  void rowsAsTextAndAsArrays() {
    try (HierarchicalSoftmax layer = layer(Workers.common());
        FloatTensor x = FloatTensor.zeros(5, FEATURES)) {
      layer.W2().fill(0);
      Ranking ranking = layer.topK(x, 4);
      float expected = ranking.logProbability(0, 0);
      assertArrayEquals(
          new float[] {expected, expected, expected, expected}, ranking.logProbabilities(2));
      assertEquals(
          "Ranking(5 rows; 0: 0 (0.06667) 1 (0.06667) 2 (0.06667) ...; 1: 0 (0.06667) 1 (0.06667) 2"
              + " (0.06667) ...; 2: 0 (0.06667) 1 (0.06667) 2 (0.06667) ...; ...)",
          ranking.toString());
    }
    assertEquals("mean of -log P(target)", Loss.mean().toString());
    try (FloatTensor weights = FloatTensor.zeros(2)) {
      assertEquals(
          "sum of -log P(target), ignored = -1, smoothing = 0.5, rowWeights = (2)",
          Loss.sum().withIgnored(-1).withSmoothing(0.5f).withRowWeights(weights).toString());
    }
  }
}
