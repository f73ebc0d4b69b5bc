// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.testing.KernelsUnderTest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows over memory that changes between two calls: the second call checks them again. */
final class WrappedRowsTest {
  private static final int FEATURES = 5;

  /** The bound for everything that reads rows: outputs, words and blocks. */
  private static final int BOUND = 20;

  private final IntBuffer offsets = direct(0, 2, 2, 5);
  private final IntBuffer indices = direct(7, 0, 3, 3, 9);

  private static IntBuffer direct(int... values) {
    IntBuffer buffer =
        ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder()).asIntBuffer();
    return buffer.put(0, values);
  }

  @BeforeEach
  void memoryCanBeWrapped() {
    assumeTrue(Backend.isNative());
  }

  /** A call that reads three rows of five entries. */
  private interface Call {
    void with(SparseRows rows);
  }

  private record Reader(String name, String argument, Call call) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static FloatTensor x() {
    return FloatTensor.of(new float[3 * FEATURES], 3, FEATURES);
  }

  private static SparseRows fixed() {
    return SparseRows.of(new int[] {0, 2, 2, 5}, new int[] {7, 0, 3, 3, 9});
  }

  private static EmbeddingBag bag() {
    return EmbeddingBag.builder(BOUND, FEATURES).seed(1).build();
  }

  private static LabelTree tree() {
    return LabelTree.builder(FEATURES, BOUND).build();
  }

  private static void addToMetrics(SparseRows rows) {
    add(rows, Metrics.upTo(1, IntStream.range(0, BOUND).mapToDouble(i -> 1).toArray()));
  }

  private static void add(SparseRows rows, Metrics metrics) {
    try {
      metrics.add(Ranking.of(new int[3][1], new float[3][1]), rows);
    } finally {
      long added = metrics.rows() + metrics.rowsWithoutLabels();
      assertTrue(added == 0 || added == 3, added + " rows are added");
    }
  }

  static Stream<Reader> readers() {
    return Stream.of(
        new Reader("apply", "rows", rows -> bag().apply(rows)),
        new Reader("gradValues", "rows", rows -> bag().gradValues(rows, x())),
        new Reader("stepOfABag", "rows", WrappedRowsTest::stepOfABag),
        new Reader("stepOfATree", "targets", WrappedRowsTest::stepOfATree),
        new Reader("probabilitiesOf", "targets", rows -> tree().probabilitiesOf(x(), rows)),
        new Reader("filter", "filter", rows -> tree().topK(x(), 3, Filter.without(rows))),
        new Reader("inputs", "inputs", rows -> BlockPlan.of(rows, fixed(), BOUND, BOUND)),
        new Reader("outputs", "outputs", rows -> BlockPlan.of(fixed(), rows, BOUND, BOUND)),
        new Reader("metrics", "labels", WrappedRowsTest::addToMetrics),
        new Reader(
            "clustered",
            "labels",
            rows -> ClassAssignment.clustered(fixed(), rows, BOUND, 2, 1, Workers.common())));
  }

  private static void stepOfABag(SparseRows rows) {
    EmbeddingBag bag = bag();
    float[] before = bag.table().toArray();
    boolean done = false;
    try {
      bag.step(rows, FloatTensor.of(Arrays.copyOf(before, 15), 3, 5), Optimizer.adagrad(1));
      done = true;
    } finally {
      if (!done) {
        assertArrayEquals(before, bag.table().toArray(), "a part of the step");
      }
    }
  }

  private static void stepOfATree(SparseRows rows) {
    tree().step(x(), rows, Optimizer.sgd(1));
  }

  @ParameterizedTest
  @MethodSource("readers")
  void whatDoesNotFitAnyMoreIsRefused(Reader reader) {
    try (SparseRows rows = SparseRows.wrap(offsets, indices)) {
      reader.call.with(rows);
      indices.put(4, BOUND);
      String outside = ": index " + BOUND + " of row 2 is outside [0, ";
      assertRefused(IndexOutOfBoundsException.class, reader, outside, rows);
      indices.put(4, Integer.MIN_VALUE);
      String negative = ": indices[4] = " + Integer.MIN_VALUE + " is negative";
      assertRefused(IndexOutOfBoundsException.class, reader, negative, rows);
      indices.put(4, 9);
      offsets.put(1, 3);
      String fall = ": offsets[2] = 2 is less than the one before";
      assertRefused(IllegalArgumentException.class, reader, fall, rows);
      offsets.put(1, 2).put(3, 6);
      String end = ": offsets: expected to end with the 5 indices there are but was 6";
      assertRefused(IllegalArgumentException.class, reader, end, rows);
      offsets.put(3, 5);
      reader.call.with(rows);
    }
  }

  private static void assertRefused(
      Class<? extends Exception> type, Reader reader, String message, SparseRows rows) {
    Exception e = assertThrows(type, () -> reader.call.with(rows));
    assertTrue(e.getMessage().startsWith(reader.argument + message), e.getMessage());
  }

  /** Features for clustering may be any numbers that are not negative. */
  @Test
  void featuresOfClusteringAreLookedAtAgain() {
    try (SparseRows rows = SparseRows.wrap(offsets, indices);
        SparseRows labels = fixed()) {
      indices.put(2, -1);
      assertFails(
          IndexOutOfBoundsException.class,
          "features: indices[2] = -1 is negative",
          () -> ClassAssignment.clustered(rows, labels, BOUND, 2, 1, Workers.common()));
    }
  }

  /** A caller cannot change the memory that a filter keeps for the next call. */
  @Test
  void aFilterSeesWhatRowsAreNow() {
    IntBuffer listed = direct(7, 3);
    try (SparseRows rows = SparseRows.wrap(direct(0, 2), listed);
        LabelTree tree = tree();
        FloatTensor x = FloatTensor.zeros(1, FEATURES)) {
      Filter only = Filter.only(rows).and(Filter.without(4));
      assertEquals(List.of(3, 7), sorted(tree.topK(x, BOUND, only)));
      listed.put(0, 4).put(1, 9);
      assertEquals(List.of(9), sorted(tree.topK(x, BOUND, only)));
    }
  }

  private static List<Integer> sorted(Ranking ranking) {
    return IntStream.of(ranking.outputs(0)).sorted().boxed().toList();
  }

  @Test
  void whatIsMadeOfChangedRowsIsCheckedToo() {
    try (SparseRows rows = SparseRows.wrap(offsets, indices);
        SparseRows slice = rows.slice(1, 3)) {
      offsets.put(2, 1);
      assertThrows(IllegalArgumentException.class, () -> rows.slice(1, 3));
      assertThrows(IllegalArgumentException.class, () -> rows.select(1));
      offsets.put(2, 2);
      indices.put(4, BOUND);
      try (EmbeddingBag bag = bag()) {
        assertThrows(IndexOutOfBoundsException.class, () -> bag.apply(slice));
      }
    }
  }

  /**
   * A batch of many rows is read only where it is used, so that its cost does not depend on other
   * rows.
   */
  @Test
  void whatIsMadeOfSomeRowsDoesNotDependOnTheOthers() {
    try (SparseRows rows = SparseRows.wrap(offsets, indices)) {
      offsets.put(3, 6);
      indices.put(4, -1);
      try (SparseRows slice = rows.slice(0, 2);
          SparseRows selected = rows.select(1, 0)) {
        assertArrayEquals(new int[] {7, 0}, slice.indices(0));
        assertArrayEquals(new int[] {7, 0}, selected.indices(1));
      }
      String outside = "rows: offsets[3]: expected a number in [2, 5] but was 6";
      assertFails(IllegalArgumentException.class, outside, () -> rows.slice(1, 3));
      assertFails(IllegalArgumentException.class, outside, () -> rows.select(0, 2));
      offsets.put(3, 5);
      String negative = "indices[2] = -1 is negative";
      assertFails(IndexOutOfBoundsException.class, negative, () -> rows.slice(2, 3));
      assertFails(IndexOutOfBoundsException.class, negative, () -> rows.select(2));
      offsets.put(1, -1);
      outside = "rows: offsets[1]: expected a number in [0, 5] but was -1";
      assertFails(IllegalArgumentException.class, outside, () -> rows.slice(1, 2));
      assertFails(IllegalArgumentException.class, outside, () -> rows.select(1));
    }
  }

  /** Without propensities, labels have no upper bound; negative ones are rejected. */
  @Test
  void metricsWithoutPropensitiesLookAtLabelsAgain() {
    try (SparseRows rows = SparseRows.wrap(offsets, indices)) {
      indices.put(4, -1);
      String negative = "labels: indices[4] = -1 is negative";
      Executable add = () -> add(rows, Metrics.upTo(1));
      assertFails(IndexOutOfBoundsException.class, negative, add);
      indices.put(4, BOUND);
      add(rows, Metrics.upTo(1));
      offsets.put(1, 3);
      String fall = "labels: offsets[2] = 2 is less than the one before";
      assertFails(IllegalArgumentException.class, fall, add);
    }
  }

  @Test
  void aRowWhoseOffsetsFallIsNotRead() {
    try (SparseRows rows = SparseRows.wrap(offsets, indices)) {
      offsets.put(1, 3);
      String fall = "rows: offsets[2]: expected a number in [3, 5] but was 2";
      assertFails(IllegalArgumentException.class, fall, () -> rows.size(1));
      assertFails(IllegalArgumentException.class, fall, () -> rows.indices(1));
      assertFails(IllegalArgumentException.class, fall, () -> rows.values(1));
      assertEquals(3, rows.size(2));
    }
  }

  /** The offsets of a slice are its own memory. */
  @Test
  void aSliceThatIsRefusedKeepsNothing() {
    try (SparseRows rows = SparseRows.wrap(offsets, indices)) {
      indices.put(4, -1);
      long before = FloatTensor.allocatedBytes();
      assertThrows(IndexOutOfBoundsException.class, () -> rows.slice(2, 3));
      assertTrue(FloatTensor.allocatedBytes() <= before);
    }
  }

  static Stream<Arguments> steps() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                Stream.of(Optimizer.sgd(1), Optimizer.adagrad(1), Optimizer.adam(1))
                    .map(optimizer -> Arguments.of(kernels, optimizer)));
  }

  /**
   * Words that are larger than all before, and share their last bits, so that code that ignores the
   * other bits takes their entries for one word's.
   */
  @ParameterizedTest
  @MethodSource("steps")
  void aStepSeesWordsThatAreLargerThanThoseThatWereWrapped(
      KernelsUnderTest kernels, Optimizer optimizer) {
    int[] words = {70_000, 4464, 70_000, 4464, 70_000};
    try (SparseRows changed = SparseRows.wrap(offsets, indices);
        SparseRows own = SparseRows.of(List.of(words, new int[0], new int[0]));
        EmbeddingBag expected = large(kernels);
        EmbeddingBag found = large(kernels);
        FloatTensor gradOut = FloatTensor.of(new float[] {1, -2, 3, 4, 5, 6}, 3, 2)) {
      indices.put(0, words);
      offsets.put(1, 5).put(2, 5);
      expected.step(own, gradOut, optimizer);
      found.step(changed, gradOut, optimizer);
      assertArrayEquals(expected.table().toArray(), found.table().toArray());
    }
  }

  private static EmbeddingBag large(KernelsUnderTest kernels) {
    return EmbeddingBag.builder(70_001, 2).seed(1).workers(kernels.workers()).build();
  }
}
