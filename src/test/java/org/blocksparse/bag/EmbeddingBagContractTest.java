// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.testing.BagOracle;
import org.blocksparse.testing.BagProblem;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The contract of an embedding bag on every kind of kernels, against a float64 oracle. */
@Tag("xcheck")
@ExtendWith(Seeded.class)
final class EmbeddingBagContractTest {
  /** A table, and a batch for it. */
  @SuppressWarnings("ArrayRecordComponent")
  record Case(int vocabulary, int features, int... sizes) {
    BagProblem problem(Data data, Numbers numbers, boolean weighted) {
      return BagProblem.random(data, numbers, weighted, vocabulary, features, sizes);
    }

    @Override
    public String toString() {
      int entries = Arrays.stream(sizes).sum();
      return vocabulary + " x " + features + ", " + sizes.length + " bags, " + entries + " entries";
    }
  }

  private static final List<Case> CASES =
      List.of(
          new Case(1, 1, 1),
          new Case(5, 3),
          new Case(5, 3, 0, 0),
          new Case(7, 4, 2, 0, 5, 1),
          new Case(31, 17, 3, 1, 4, 1, 5),
          new Case(97, 64, IntStream.generate(() -> 44).limit(53).toArray()),
          new Case(1000, 65, IntStream.range(0, 101).toArray()),
          new Case(13, 131, 7, 11, 0, 13),
          new Case(3, 20, 700, 900, 1), // rows whose gradients are cut into parts
          new Case(2, 300, IntStream.generate(() -> 30).limit(75).toArray()));

  static Stream<Arguments> cases() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(kernels -> CASES.stream().map(sizes -> Arguments.of(kernels, sizes)));
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  private static EmbeddingBag layer(
      BagProblem p, Mode mode, FloatTensor table, KernelsUnderTest kernels) {
    return EmbeddingBag.builder(p.vocabulary(), p.features())
        .mode(mode)
        .workers(kernels.workers())
        .build(table);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sumsOfSmallIntegers_areExact(KernelsUnderTest kernels, Case sizes, Data data) {
    for (boolean weighted : new boolean[] {false, true}) {
      BagProblem p = sizes.problem(data, Numbers.SMALL_INTEGERS, weighted);
      try (Guarded guarded = new Guarded();
          SparseRows rows = p.rows();
          EmbeddingBag layer =
              layer(
                  p,
                  Mode.SUM,
                  guarded.of("table", p.table(), p.vocabulary(), p.features()),
                  kernels)) {
        FloatTensor gradOut = guarded.of("gradOut", p.gradOut(), p.bags(), p.features());
        FloatTensor out = guarded.nan("out", p.bags(), p.features());
        FloatTensor gradValues = guarded.nan("gradValues", p.indices().length);
        layer.apply(rows, out);
        layer.gradValues(rows, gradOut, gradValues);
        BagOracle oracle = new BagOracle(p, Mode.SUM);
        oracle.sums().assertExact("out", out);
        oracle.gradValues().assertExact("gradValues", gradValues);
        layer.step(rows, gradOut, Optimizer.sgd(1));
        Bounded gradient = oracle.gradTable();
        for (int i = 0; i < p.table().length; i++) {
          gradient.values()[i] = p.table()[i] - gradient.values()[i];
        }
        gradient.assertExact("table", layer.table());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sumsAndGradients_areWithinBounds(KernelsUnderTest kernels, Case sizes, Data data) {
    for (Mode mode : Mode.values()) {
      for (boolean weighted : new boolean[] {false, true}) {
        BagProblem p = sizes.problem(data, Numbers.GAUSSIAN, weighted);
        BagOracle oracle = new BagOracle(p, mode);
        try (SparseRows rows = p.rows();
            FloatTensor gradOut = FloatTensor.of(p.gradOut(), p.bags(), p.features());
            EmbeddingBag layer =
                layer(p, mode, FloatTensor.of(p.table(), p.vocabulary(), p.features()), kernels);
            FloatTensor out = layer.apply(rows);
            FloatTensor gradValues = layer.gradValues(rows, gradOut)) {
          oracle.sums().assertHolds(mode + " out", out);
          oracle.gradValues().assertHolds(mode + " gradValues", gradValues);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void clipping_isOfEachRowOfTheTable(KernelsUnderTest kernels) {
    BagProblem p =
        new BagProblem(
            3,
            4,
            new int[] {0, 2, 3},
            new int[] {0, 0, 2},
            null,
            new float[12],
            new float[] {2, 2, 2, 2, 0.125f, 0, 0, 0});
    try (SparseRows rows = p.rows();
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), 2, 4);
        EmbeddingBag layer = layer(p, Mode.SUM, FloatTensor.of(p.table(), 3, 4), kernels)) {
      layer.step(rows, gradOut, Optimizer.sgd(1).withMaxNorm(0.5f));
      // Row 0 has a gradient of length 8, and row 2 one short enough.
      assertArrayEquals(
          new float[] {-0.25f, -0.25f, -0.25f, -0.25f, 0, 0, 0, 0, -0.125f, 0, 0, 0},
          layer.table().toArray());
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aNaN_staysWithTheRowsThatNameIt(KernelsUnderTest kernels) {
    float[] table = new float[5 * 7];
    Arrays.fill(table, 1);
    table[2 * 7 + 6] = Float.NaN;
    table[3 * 7] = Float.POSITIVE_INFINITY;
    float[] gradients = new float[3 * 7];
    gradients[7 + 3] = Float.NaN; // in the second bag
    BagProblem p =
        new BagProblem(
            5, 7, new int[] {0, 2, 3, 5}, new int[] {0, 2, 1, 3, 4}, null, table, gradients);
    try (SparseRows rows = p.rows();
        FloatTensor gradOut = FloatTensor.of(gradients, 3, 7);
        EmbeddingBag layer = layer(p, Mode.SUM, FloatTensor.of(table, 5, 7), kernels);
        FloatTensor out = layer.apply(rows)) {
      float[] sums = out.toArray();
      for (int i = 0; i < sums.length; i++) {
        assertEquals(i == 6, Float.isNaN(sums[i]), "out " + i);
        assertEquals(i == 14, Float.isInfinite(sums[i]), "out " + i);
      }
      layer.table().set(1, 3, 0);
      layer.step(rows, gradOut, Optimizer.adagrad(1));
      float[] after = layer.table().toArray();
      for (int i = 0; i < after.length; i++) {
        assertEquals(i == 2 * 7 + 6 || i == 7 + 3, Float.isNaN(after[i]), "table " + i);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void anEmptyBatch_changesNothing(KernelsUnderTest kernels) {
    BagProblem p =
        new BagProblem(
            2, 3, new int[] {0, 1}, new int[] {1}, null, new float[6], new float[] {1, 1, 1});
    try (SparseRows rows = p.rows();
        SparseRows none = SparseRows.of(List.of());
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), 1, 3);
        FloatTensor noGradient = FloatTensor.zeros(0, 3);
        EmbeddingBag layer = layer(p, Mode.SUM, FloatTensor.of(p.table(), 2, 3), kernels);
        FloatTensor out = layer.apply(none)) {
      assertEquals(Shape.of(0, 3), out.shape());
      layer.step(rows, gradOut, Optimizer.adagrad(1));
      layer.step(none, noGradient, Optimizer.sgd(1));
      layer.step(rows, gradOut, Optimizer.adagrad(1));
      // The second step of Adagrad, whose state survived the step without rows.
      assertEquals(-1 - 1 / Math.sqrt(2), layer.table().get(1, 0), 1e-6);
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aRowOfTheBatchThatIsCutOut_isTheSame(KernelsUnderTest kernels, Data data) {
    BagProblem p = new Case(50, 33, 5, 0, 44, 7, 3).problem(data, Numbers.GAUSSIAN, true);
    try (SparseRows rows = p.rows();
        SparseRows slice = rows.slice(2, 4);
        SparseRows selected = rows.select(2, 3);
        EmbeddingBag layer = layer(p, Mode.MEAN, FloatTensor.of(p.table(), 50, 33), kernels);
        FloatTensor all = layer.apply(rows);
        FloatTensor ofSlice = layer.apply(slice);
        FloatTensor ofSelected = layer.apply(selected);
        FloatTensor gradOut = FloatTensor.of(p.gradOut(), 5, 33);
        FloatTensor gradOfSlice = FloatTensor.of(Arrays.copyOfRange(p.gradOut(), 66, 132), 2, 33);
        FloatTensor gradValues = layer.gradValues(rows, gradOut);
        FloatTensor gradValuesOfSlice = layer.gradValues(slice, gradOfSlice)) {
      float[] expected = Arrays.copyOfRange(all.toArray(), 66, 132);
      assertArrayEquals(expected, ofSlice.toArray());
      assertArrayEquals(expected, ofSelected.toArray());
      assertArrayEquals(
          Arrays.copyOfRange(gradValues.toArray(), 5, 56), gradValuesOfSlice.toArray());
      float[] before = layer.table().toArray();
      layer.step(slice, gradOfSlice, Optimizer.adagrad(0.1f));
      float[] bySlice = layer.table().toArray();
      assertFalse(Arrays.equals(before, bySlice));
      try (EmbeddingBag other = layer(p, Mode.MEAN, FloatTensor.of(before, 50, 33), kernels)) {
        other.step(selected, gradOfSlice, Optimizer.adagrad(0.1f));
        assertArrayEquals(bySlice, other.table().toArray());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void maxIndex_ofAWideTable(KernelsUnderTest kernels) {
    // The last row of a table with more rows than one digit of the sort distinguishes.
    int vocabulary = 1 << 20;
    try (SparseRows rows = SparseRows.of(List.of(new int[] {vocabulary - 1, 0, 2048, 2047}));
        FloatTensor gradOut = FloatTensor.of(new float[] {1, 2}, 1, 2);
        EmbeddingBag layer =
            EmbeddingBag.builder(vocabulary, 2)
                .workers(kernels.workers())
                .mode(Mode.SUM)
                .build(FloatTensor.zeros(vocabulary, 2))) {
      layer.step(rows, gradOut, Optimizer.sgd(1));
      float[] table = layer.table().toArray();
      for (int row : new int[] {0, 2047, 2048, vocabulary - 1}) {
        assertEquals(-1, table[2 * row]);
        assertEquals(-2, table[2 * row + 1]);
        table[2 * row] = 0;
        table[2 * row + 1] = 0;
      }
      assertTrue(IntStream.range(0, table.length).allMatch(i -> table[i] == 0));
    }
  }
}
