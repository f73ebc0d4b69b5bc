// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Ids that a model does not know: ignored and counted on request, otherwise rejected. */
final class UnknownIdsTest {
  private static final int OUTPUTS = 20;

  private final UnknownIds unknown = UnknownIds.ignore();

  private static HierarchicalSoftmax layer(int outputs) {
    return HierarchicalSoftmax.builder(2, outputs).classes(4).seed(1).build();
  }

  private static FloatTensor x(int rows) {
    float[] values = new float[2 * rows];
    for (int i = 0; i < values.length; i++) {
      values[i] = 1 + i;
    }
    return FloatTensor.of(values, rows, 2);
  }

  private static void assertSame(Ranking expected, Ranking actual) {
    assertEquals(expected.batch(), actual.batch());
    for (int row = 0; row < expected.batch(); row++) {
      assertArrayEquals(expected.outputs(row), actual.outputs(row));
      assertArrayEquals(expected.logProbabilities(row), actual.logProbabilities(row));
    }
  }

  @Test
  void filtersForAllRowsIgnoreThem() {
    try (HierarchicalSoftmax layer = layer(OUTPUTS);
        FloatTensor x = x(2)) {
      Filter lenient = Filter.without(-1, 3, OUTPUTS, 5, 99).withUnknownIds(unknown);
      for (int call = 1; call <= 3; call++) {
        assertSame(layer.topK(x, 9, Filter.without(3, 5)), layer.topK(x, 9, lenient));
        assertEquals(3L * call, unknown.count());
      }
      BitSet bits = new BitSet();
      bits.set(4);
      bits.set(77);
      Ranking one = layer.atLeast(x, 1e-9, Filter.only(bits).withUnknownIds(unknown));
      assertArrayEquals(new int[] {4}, one.outputs(0));
      assertEquals(10, unknown.count());
      assertTrue(layer.topK(x, 1, Filter.only(-1, 99).withUnknownIds(unknown)).isFilteredOut(1));
      assertArrayEquals(
          new int[] {6, 6},
          layer.sample(x, 1, new SplittableRandom(1), Filter.only(6, 20).withUnknownIds(unknown)));
    }
  }

  /** A filter that is kept for all calls meets a model that has grown. */
  @Test
  void whatIsUnknownDependsOnTheLayer() {
    Filter stock = Filter.only(2, OUTPUTS, -1).withUnknownIds(unknown);
    try (HierarchicalSoftmax layer = layer(OUTPUTS);
        FloatTensor x = x(1)) {
      assertArrayEquals(new int[] {2}, layer.topK(x, 9, stock).outputs(0));
      assertEquals(2, unknown.count());
      layer.addOutputs(1);
      assertEquals(2, layer.topK(x, 9, stock).size(0));
      assertEquals(3, unknown.count());
    }
  }

  @Test
  void filtersForEachRowIgnoreThem() {
    try (HierarchicalSoftmax layer = layer(OUTPUTS);
        FloatTensor x = x(2);
        SparseRows seen = SparseRows.of(List.of(new int[] {3, 20}, new int[] {5, 6, 99, 20}));
        SparseRows known = SparseRows.of(List.of(new int[] {3}, new int[] {5, 6}))) {
      assertSame(
          layer.topK(x, 20, Filter.without(known)),
          layer.topK(x, 20, Filter.without(seen).withUnknownIds(unknown)));
      assertEquals(3, unknown.count());
    }
  }

  @Test
  void eachPartOfAFilterHasItsOwnChoice() {
    try (HierarchicalSoftmax layer = layer(OUTPUTS);
        FloatTensor x = x(1)) {
      Filter lenient = Filter.without(0, 50).withUnknownIds(unknown);
      assertSame(
          layer.topK(x, 20, Filter.without(0, 1).withRenormalization()),
          layer.topK(x, 20, lenient.withRenormalization().and(Filter.without(1))));
      assertFails(
          IndexOutOfBoundsException.class,
          "filter[0] = 60 is outside [0, outputs = 20)",
          () -> layer.topK(x, 1, lenient.and(Filter.without(60))));
    }
  }

  @ParameterizedTest
  @EnumSource
  void rowsOfABagIgnoreThem(Mode mode) {
    List<int[]> baskets = List.of(new int[] {-1, 2, 10}, new int[] {11, -1}, new int[] {0, 9, 2});
    List<float[]> values = List.of(new float[] {9, 2, 9}, new float[2], new float[] {1, 2, 3});
    List<int[]> known = List.of(new int[] {2}, new int[0], new int[] {0, 9, 2});
    try (EmbeddingBag bag = EmbeddingBag.builder(10, 3).mode(mode).build();
        SparseRows lenient = SparseRows.of(baskets, bag.vocabulary(), unknown);
        SparseRows strict = SparseRows.of(known);
        SparseRows weighted = SparseRows.of(baskets, values, bag.vocabulary(), unknown);
        FloatTensor expected = bag.apply(strict);
        FloatTensor actual = bag.apply(lenient)) {
      assertArrayEquals(expected.toArray(), actual.toArray());
      assertArrayEquals(new float[] {2}, weighted.values(0));
      assertArrayEquals(new float[] {1, 2, 3}, weighted.values(2));
      assertEquals(8, unknown.count());
    }
  }

  @Test
  void rowsThatAreRefusedCountNothing() {
    List<int[]> ids = List.of(new int[] {-1});
    assertRejects("bound: expected at least 1 but was 0", () -> SparseRows.of(ids, 0, unknown));
    assertThrows(
        IllegalArgumentException.class,
        () -> SparseRows.of(ids, List.of(new float[2]), 1, unknown));
    assertThrows(IllegalArgumentException.class, () -> SparseRows.of(ids, List.of(), 1, unknown));
    assertThrows(NullPointerException.class, () -> SparseRows.of(ids, 1, null));
    assertThrows(NullPointerException.class, () -> SparseRows.of(null, 1, unknown));
    assertThrows(NullPointerException.class, () -> Filter.without(1).withUnknownIds(null));
    assertEquals(0, unknown.count());
  }
}
