// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.testing.BagOracle;
import org.blocksparse.testing.BagProblem;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Guarded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Bags with rows in fewer bits: they do all that a bag of the same floats does, except train. */
@ExtendWith(Seeded.class)
final class NarrowBagTest {
  /** A table, and the number of entries of each row of a batch. */
  @SuppressWarnings("ArrayRecordComponent")
  record Case(int vocabulary, int features, int... sizes) {
    @Override
    public String toString() {
      return vocabulary + " x " + features + ", " + sizes.length + " bags";
    }
  }

  private static final List<Case> CASES =
      List.of(
          new Case(1, 1, 1),
          new Case(5, 3),
          new Case(5, 3, 0, 0),
          new Case(7, 4, 2, 0, 5, 1),
          new Case(31, 17, 3, 1, 4, 1, 5),
          new Case(101, 67, IntStream.generate(() -> 11).limit(13).toArray()),
          new Case(13, 131, 7, 11, 0, 13),
          new Case(3, 150, 20, 0, 30));

  static Stream<Arguments> cases() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                Stream.of(ElementType.FLOAT16, ElementType.BFLOAT16, ElementType.INT8)
                    .flatMap(
                        type -> CASES.stream().map(sizes -> Arguments.of(kernels, type, sizes))));
  }

  private static float[] take(FloatTensor tensor) {
    try (tensor) {
      return tensor.toArray();
    }
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void sumsAndGradients_areThoseOfTheWidenedTable(
      KernelsUnderTest kernels, ElementType type, Case sizes, Data data) {
    for (Mode mode : Mode.values()) {
      boolean weighted = mode != Mode.MEAN;
      BagProblem given =
          BagProblem.random(
              data, Numbers.GAUSSIAN, weighted, sizes.vocabulary, sizes.features, sizes.sizes);
      try (Guarded memory = new Guarded();
          SparseRows rows = given.rows();
          EmbeddingBag floats =
              EmbeddingBag.builder(sizes.vocabulary, sizes.features)
                  .mode(mode)
                  .workers(kernels.workers())
                  .build(FloatTensor.of(given.table(), sizes.vocabulary, sizes.features));
          EmbeddingBag narrow = floats.withWeights(type);
          EmbeddingBag widened = narrow.withWeights(ElementType.FLOAT32)) {
        assertEquals(type, narrow.weightType());
        assertEquals(mode, narrow.mode());
        BagProblem p = given.withTable(widened.table().toArray());
        BagOracle oracle = new BagOracle(p, mode);
        FloatTensor gradOut = memory.of("gradOut", p.gradOut(), p.bags(), p.features());
        FloatTensor out = memory.nan("out", p.bags(), p.features());
        FloatTensor gradValues = memory.nan("gradValues", p.indices().length);
        narrow.apply(rows, out);
        narrow.gradValues(rows, gradOut, gradValues);
        oracle.sums().assertHolds(mode + " out", out);
        oracle.gradValues().assertHolds(mode + " gradValues", gradValues);
        assertArrayEquals(take(widened.apply(rows)), out.toArray());
        assertArrayEquals(take(narrow.apply(rows)), out.toArray());
        assertArrayEquals(take(widened.gradValues(rows, gradOut)), gradValues.toArray());
        try (EmbeddingBag again = narrow.withWeights(type)) {
          assertArrayEquals(out.toArray(), take(again.apply(rows)));
        }
      }
    }
  }

  /** Rows of large numbers, of small ones, and of zeros. */
  private static final float[] TABLE = {-1000, 3, 500.5f, 0.02f, -0.007f, 0.001f, 0, 0, 0};

  private static EmbeddingBag bag(float... table) {
    return EmbeddingBag.builder(3, 3).build(FloatTensor.of(table, 3, 3));
  }

  private static float[] rounded(ElementType type, float... table) {
    try (EmbeddingBag floats = bag(table);
        EmbeddingBag narrow = floats.withWeights(type);
        EmbeddingBag widened = narrow.withWeights(ElementType.FLOAT32)) {
      return widened.table().toArray();
    }
  }

  @Test
  void eightBits_haveAScaleForEachRow() {
    float[] rounded = rounded(ElementType.INT8, TABLE);
    for (int row = 0; row < 2; row++) {
      float scale = Math.abs(TABLE[3 * row]) / 127;
      for (int q = 0; q < 3; q++) {
        int i = 3 * row + q;
        assertEquals((float) Math.rint(TABLE[i] / scale) * scale, rounded[i], "element " + i);
      }
    }
    assertArrayEquals(new float[3], Arrays.copyOfRange(rounded, 6, 9));
  }

  @Test
  void eightBits_areTheNearest_ofTwoTheEvenOne() {
    assertArrayEquals(
        new float[] {127, 0, 2, 127, 2, 0, -127, -2, -2},
        rounded(ElementType.INT8, 127, 0.5f, 1.5f, 127, 2.5f, -0.5f, -127, -1.5f, -2.5f));
  }

  @ParameterizedTest
  @CsvSource({"FLOAT16, 0x1p-10f", "BFLOAT16, 0x1p-7f"})
  void sixteenBits_areTheNearest_ofTwoTheEvenOne(ElementType type, String lastPlace) {
    float u = Float.parseFloat(lastPlace);
    float[] given = {1 + u / 2, 1 + 3 * u / 2, 1 + 0.49f * u, -1 - 0.51f * u, 1, 0, 0, 0, 0};
    assertArrayEquals(new float[] {1, 1 + 2 * u, 1, -1 - u, 1, 0, 0, 0, 0}, rounded(type, given));
  }

  @Test
  void takesLessMemory() {
    try (EmbeddingBag floats = EmbeddingBag.builder(200, 31).build()) {
      long start = FloatTensor.allocatedBytes();
      Map<ElementType, Integer> bytes =
          Map.of(
              ElementType.FLOAT32, 200 * 31 * 4,
              ElementType.FLOAT16, 200 * 31 * 2,
              ElementType.BFLOAT16, 200 * 31 * 2,
              ElementType.INT8, 200 * (31 + 4));
      for (ElementType type : bytes.keySet()) {
        long expected = bytes.get(type);
        try (EmbeddingBag copy = floats.withWeights(type)) {
          assertEquals(expected, FloatTensor.allocatedBytes() - start);
          String told = copy.toString();
          assertTrue(told.contains(", " + expected + " bytes, "), told);
          assertEquals(type != ElementType.FLOAT32, told.contains("weights of " + type), told);
        }
        assertTrue(FloatTensor.allocatedBytes() <= start);
      }
    }
  }
}
