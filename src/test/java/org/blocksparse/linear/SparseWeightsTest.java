// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.SparseRows;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Sparse weights on every kind of kernels, against a dense loop in float64. */
@Tag("xcheck")
final class SparseWeightsTest {
  private static final String GOLDEN = "sparse-weights-0.1.safetensors";

  @TempDir Path folder;

  /** The rows of a matrix, in which an entry may occur several times. */
  private record Lists(List<int[]> indices, List<float[]> values) {
    static Lists random(SplittableRandom random, int rows, int most, int bound, boolean integers) {
      Lists lists = new Lists(new ArrayList<>(), new ArrayList<>());
      for (int row = 0; row < rows; row++) {
        int size = random.nextInt(4) == 0 ? 0 : random.nextInt(most + 1);
        int[] indices = random.ints(size, 0, bound).toArray();
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
          values[i] = integers ? random.nextInt(-3, 4) : random.nextInt(-999, 1000) / 256f;
        }
        lists.indices.add(indices);
        lists.values.add(values);
      }
      return lists;
    }

    SparseRows rows() {
      return SparseRows.of(indices, values);
    }

    double[][] dense(int columns) {
      double[][] dense = new double[indices.size()][columns];
      for (int row = 0; row < dense.length; row++) {
        for (int i = 0; i < indices.get(row).length; i++) {
          dense[row][indices.get(row)[i]] += values.get(row)[i];
        }
      }
      return dense;
    }
  }

  /** Returns sums of products that are exact in double, rounded once. */
  private static float[] scores(Lists x, int row, double[][] weights, int outputs) {
    double[] sums = new double[outputs];
    for (int i = 0; i < x.indices.get(row).length; i++) {
      double[] ofFeature = weights[x.indices.get(row)[i]];
      for (int output = 0; output < outputs; output++) {
        sums[output] += x.values.get(row)[i] * ofFeature[output];
      }
    }
    float[] rounded = new float[outputs];
    for (int output = 0; output < outputs; output++) {
      rounded[output] = (float) sums[output];
    }
    return rounded;
  }

  private static int[] ranked(float[] scores, IntPredicate allowed) {
    return IntStream.range(0, scores.length)
        .filter(output -> scores[output] != 0 && allowed.test(output))
        .boxed()
        .sorted(Comparator.comparingDouble((Integer output) -> -scores[output]))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private static void assertRow(
      Ranking ranking, int row, float[] scores, IntPredicate allowed, int k) {
    int[] wanted = IntStream.of(ranked(scores, allowed)).limit(k).toArray();
    assertArrayEquals(wanted, ranking.outputs(row));
    for (int rank = 0; rank < wanted.length; rank++) {
      assertEquals(scores[wanted[rank]], ranking.score(row, rank));
    }
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  /** Values are small multiples of 1/256, so that all sums are exact. */
  @ParameterizedTest
  @MethodSource("kernels")
  void rankingsAreThoseOfADenseLoop(KernelsUnderTest kernels) {
    SplittableRandom random = new SplittableRandom(Seed.value());
    for (int outputs : new int[] {1, 2, 255, 256, 257, 1009}) {
      for (int features : new int[] {1, 7, 61}) {
        boolean integers = random.nextBoolean();
        Lists matrix = Lists.random(random, features, 40, outputs, integers);
        Lists x = Lists.random(random, 9, 12, features, integers);
        double[][] dense = matrix.dense(outputs);
        int k = random.nextInt(1, 12);
        float threshold = random.nextInt(-2, 5);
        Lists listed = Lists.random(random, 9, 2 * outputs, outputs, true);
        try (SparseRows weights = matrix.rows();
            SparseRows rows = x.rows();
            SparseRows lists = listed.rows();
            SparseWeights sparse = SparseWeights.of(weights, outputs, kernels.workers())) {
          Ranking best = sparse.topK(rows, k);
          Ranking all = sparse.atLeast(rows, Float.NEGATIVE_INFINITY);
          Ranking high = sparse.atLeast(rows, threshold);
          Ranking only = sparse.topK(rows, k, Filter.only(lists));
          Ranking without =
              sparse.topK(rows, k, Filter.without(lists).and(Filter.without(outputs - 1)));
          for (int row = 0; row < 9; row++) {
            float[] wanted = scores(x, row, dense, outputs);
            int[] list = listed.indices.get(row);
            IntPredicate isListed = output -> IntStream.of(list).anyMatch(i -> i == output);
            assertRow(best, row, wanted, output -> true, k);
            assertRow(all, row, wanted, output -> true, outputs);
            assertRow(high, row, wanted, output -> wanted[output] >= threshold, outputs);
            assertRow(only, row, wanted, isListed, k);
            assertRow(without, row, wanted, isListed.or(o -> o == outputs - 1).negate(), k);
          }
        }
      }
    }
  }

  /** Returns the values of counted rows, and of rows with values, by the formulas of ofRows. */
  private static double[][] weighted(double[][] counts, double[][] of) {
    double[][] weighted = new double[counts.length][];
    for (int row = 0; row < counts.length; row++) {
      weighted[row] = new double[counts[row].length];
      double squares = 0;
      for (int f = 0; f < weighted[row].length; f++) {
        int feature = f;
        double with = Stream.of(of).filter(other -> other[feature] > 0).count();
        double inverse = with == 0 ? 0 : 1 + Math.log((1 + of.length) / (1 + with));
        weighted[row][f] = counts[row][f] == 0 ? 0 : (1 + Math.log(counts[row][f])) * inverse;
        squares += weighted[row][f] * weighted[row][f];
      }
      for (int f = 0; f < weighted[row].length; f++) {
        weighted[row][f] /= squares == 0 ? 1 : Math.sqrt(squares);
      }
    }
    return weighted;
  }

  private static double product(double[] one, double[] other) {
    return IntStream.range(0, one.length).mapToDouble(f -> one[f] * other[f]).sum();
  }

  /** The bound covers up to 16 roundings of a positive term. */
  @ParameterizedTest
  @MethodSource("kernels")
  void similaritiesOfCountedRowsAreCosines(KernelsUnderTest kernels) throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Path file = folder.resolve("similar");
    for (int examples : new int[] {1, 7, 300}) {
      for (int features : new int[] {1, 13}) {
        Lists of = Lists.random(random, examples, 9, features, true);
        Lists x = Lists.random(random, 9, 9, features, true);
        for (Lists lists : List.of(of, x)) {
          lists.values.forEach(values -> Arrays.fill(values, 1));
        }
        double[][] counts = of.dense(features);
        double[][] rows = weighted(counts, counts);
        double[][] wanted = weighted(x.dense(features), counts);
        try (SparseRows counted = SparseRows.of(of.indices);
            SparseRows queries = SparseRows.of(x.indices);
            SparseRows valued = x.rows();
            SparseWeights similar = SparseWeights.ofRows(counted, features, kernels.workers())) {
          assertTrue(similar.countsFeatures());
          similar.save(file);
          try (SparseWeights mapped = SparseWeights.load(file, LoadOptions.mapped())) {
            for (SparseWeights each : List.of(similar, mapped)) {
              Ranking ranking = each.topK(queries, examples);
              for (int row = 0; row < 9; row++) {
                int r = row;
                long positive = Stream.of(rows).filter(e -> product(e, wanted[r]) > 0).count();
                assertEquals(positive, ranking.size(row));
                for (int rank = 0; rank < ranking.size(row); rank++) {
                  double cosine = product(rows[ranking.output(row, rank)], wanted[row]);
                  assertEquals(cosine, ranking.score(row, rank), 16 * 0x1p-24 * cosine);
                }
              }
            }
          }
          assertThrows(IllegalArgumentException.class, () -> similar.topK(valued, 1));
          try (SparseRows one = queries.slice(0, 1);
              SparseRows valuedOne = valued.slice(0, 1)) {
            List<Term> terms = similar.explain(one, 0);
            double sum = terms.stream().mapToDouble(Term::contribution).sum();
            assertEquals(product(rows[0], wanted[0]), sum, 16 * 0x1p-24 * sum);
            assertThrows(IllegalArgumentException.class, () -> similar.explain(valuedOne, 0));
          }
        }
      }
    }
  }

  /** Integers, so that products are exact. */
  @Test
  void similaritiesOfRowsWithValuesAreProducts() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Lists of = Lists.random(random, 300, 9, 13, true);
    Lists x = Lists.random(random, 9, 9, 13, true);
    double[][] dense = of.dense(13);
    double[][] byFeature = new double[13][300];
    for (int row = 0; row < 300; row++) {
      for (int feature = 0; feature < 13; feature++) {
        byFeature[feature][row] = dense[row][feature];
      }
    }
    try (SparseRows rows = of.rows();
        SparseRows queries = x.rows();
        SparseWeights similar = SparseWeights.ofRows(rows, 13)) {
      assertFalse(similar.countsFeatures());
      Ranking ranking = similar.topK(queries, 7);
      for (int row = 0; row < 9; row++) {
        assertRow(ranking, row, scores(x, row, byFeature, 300), output -> true, 7);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void scoresOfAnySizeAreRoundedOnce(KernelsUnderTest kernels) {
    Lists matrix =
        new Lists(
            List.of(new int[] {3, 600}, new int[] {3, 600}),
            List.of(new float[] {1, 3e38f}, new float[] {0x1p-24f, 3e38f}));
    try (SparseRows weights = matrix.rows();
        SparseRows x = SparseRows.of(List.of(new int[] {0, 1, 1}));
        SparseWeights sparse = SparseWeights.of(weights, 601, kernels.workers())) {
      Ranking ranking = sparse.topK(x, 9);
      assertArrayEquals(new int[] {600, 3}, ranking.outputs(0));
      assertEquals(Float.POSITIVE_INFINITY, ranking.score(0, 0));
      assertEquals(1 + 0x1p-23f, ranking.score(0, 1));
      assertEquals(2, ranking.openedClasses(0));
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void rowsWithNaNHaveNoRanking(KernelsUnderTest kernels) {
    try (SparseRows weights = SparseRows.of(List.of(new int[] {2}, new int[] {700}));
        SparseRows x =
            SparseRows.of(
                List.of(new int[] {0}, new int[] {0, 1}),
                List.of(new float[] {Float.NaN}, new float[] {1, 2}));
        SparseWeights sparse = SparseWeights.of(weights, 701, kernels.workers())) {
      Ranking ranking = sparse.topK(x, 3);
      assertFalse(ranking.isDefined(0));
      assertArrayEquals(new int[] {700, 2}, ranking.outputs(1));
    }
  }

  @Test
  void rowsWithoutAllowedOutputsAreFilteredOut() {
    try (SparseRows weights = SparseRows.of(List.of(new int[] {0, 1}));
        SparseRows x = SparseRows.of(List.of(new int[] {0}, new int[0]));
        SparseWeights sparse = SparseWeights.of(weights, 2)) {
      Ranking none = sparse.topK(x, 1, Filter.without(0, 1));
      assertTrue(none.isFilteredOut(0));
      assertEquals(0, none.openedClasses(0));
      Ranking empty = sparse.topK(x, 1);
      assertFalse(empty.isFilteredOut(1));
      assertTrue(empty.isDefined(1));
      assertEquals(0, empty.size(1));
    }
  }

  /** From words to training examples, and from these to their labels. */
  @Test
  void aRankingIsTheInputOfAnotherProduct() {
    try (SparseRows words = SparseRows.of(List.of(new int[] {0, 1}, new int[] {1}, new int[] {2}));
        SparseRows labels = SparseRows.of(List.of(new int[] {4}, new int[] {4, 5}, new int[] {6}));
        SparseRows x = SparseRows.of(List.of(new int[] {0, 1}));
        SparseWeights toExamples = SparseWeights.of(words, 3);
        SparseWeights toLabels = SparseWeights.of(labels, 7)) {
      Ranking near = toExamples.topK(x, 2);
      try (SparseRows examples =
          SparseRows.of(List.of(near.outputs(0)), List.of(near.logProbabilities(0)))) {
        Ranking found = toLabels.topK(examples, 9);
        assertArrayEquals(new int[] {4, 5}, found.outputs(0));
        assertEquals(3, found.score(0, 0));
        assertEquals(2, found.score(0, 1));
      }
    }
  }

  @Test
  void termsAddUpToTheScore() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Lists matrix = Lists.random(random, 20, 300, 600, false);
    Lists x = Lists.random(random, 1, 0, 20, false);
    x.indices.set(0, new int[] {3, 7, 3, 19, 0});
    x.values.set(0, new float[] {1, -2, 0.5f, 4, 2});
    float[] wanted = scores(x, 0, matrix.dense(600), 600);
    try (SparseRows weights = matrix.rows();
        SparseRows row = x.rows();
        SparseWeights sparse = SparseWeights.of(weights, 600)) {
      for (int output = 0; output < 600; output++) {
        List<Term> terms = sparse.explain(row, output);
        assertEquals(wanted[output], terms.stream().mapToDouble(Term::contribution).sum());
      }
    }
  }

  @Test
  void filesHoldEverything() throws IOException {
    Lists matrix = Lists.random(new SplittableRandom(Seed.value()), 30, 50, 300, false);
    Path file = folder.resolve("weights");
    try (SparseRows weights = matrix.rows();
        SparseRows x = SparseRows.of(List.of(IntStream.range(0, 30).toArray()));
        SparseWeights sparse = SparseWeights.of(weights, 300)) {
      sparse.setLabels(Labels.of(IntStream.range(0, 300).mapToObj(i -> "n" + i).toList()));
      for (ElementType type :
          List.of(ElementType.FLOAT32, ElementType.FLOAT16, ElementType.BFLOAT16)) {
        try (SparseWeights saved = sparse.withWeights(type)) {
          saved.save(file, SaveOptions.defaults().withMetadata(Map.of("a", "b")));
          Ranking wanted = saved.topK(x, 300);
          for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
            try (SparseWeights loaded = SparseWeights.load(file, options)) {
              assertEquals(saved.toString(), loaded.toString());
              assertEquals(Map.of("a", "b"), loaded.metadata());
              Ranking actual = loaded.topK(x, 300);
              assertArrayEquals(wanted.outputs(0), actual.outputs(0));
              assertArrayEquals(wanted.logProbabilities(0), actual.logProbabilities(0));
              assertEquals("n" + wanted.output(0, 0), actual.label(0, 0));
            }
          }
        }
      }
      assertThrows(
          FileFormatException.class, () -> LinearLabelTree.load(folder.resolve("weights")));
    }
  }

  /** Writes a file of an earlier commit with two features: 0, 1 and 256; and 1. */
  private Path golden() throws IOException {
    return Files.write(folder.resolve("weights"), LinearLabelTreeFileTest.golden(GOLDEN));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void goldenFilesAreRead(boolean mapped) throws IOException {
    Path file = golden();
    byte[] before = Files.readAllBytes(file);
    try (SparseRows x = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        SparseWeights sparse =
            SparseWeights.load(file, mapped ? LoadOptions.mapped() : LoadOptions.copied())) {
      Ranking found = sparse.topK(x, 9);
      assertArrayEquals(new int[] {0, 1, 256}, found.outputs(0));
      assertArrayEquals(new int[] {1}, found.outputs(1));
      sparse.save(folder.resolve("again"));
    }
    assertArrayEquals(before, Files.readAllBytes(folder.resolve("again")));
    try (SparseRows weights = SparseRows.of(List.of(new int[] {0, 1, 256}, new int[] {1}));
        SparseWeights sparse = SparseWeights.of(weights, 258)) {
      sparse.save(file);
    }
    assertArrayEquals(before, Files.readAllBytes(file));
  }

  /** Chunks take one byte or two; a row of 256 weights is the largest. */
  @ParameterizedTest
  @ValueSource(ints = {256, 256 * 256, 256 * 256 + 1})
  void filesOfAnyNumberOfChunksAreRead(int outputs) throws IOException {
    Path file = folder.resolve("weights");
    int[] last = IntStream.range(outputs - 256, outputs).toArray();
    try (SparseRows weights = SparseRows.of(List.of(new int[] {0}, last));
        SparseRows x = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        SparseWeights sparse = SparseWeights.of(weights, outputs)) {
      sparse.save(file);
      try (SparseWeights loaded = SparseWeights.load(file)) {
        Ranking found = loaded.topK(x, 256);
        assertArrayEquals(new int[] {0}, found.outputs(0));
        assertArrayEquals(last, found.outputs(1));
      }
    }
    int chunks = (outputs + 255) / 256;
    int rows = outputs % 256 == 0 ? 2 : 3;
    assertEquals(
        (chunks <= 256 ? 1 : 2) * rows,
        LinearLabelTreeFileTest.bytesOf(file, "sparse.chunks").length);
  }

  @ParameterizedTest
  @CsvSource({
    "sparse.sizes, 0, 255",
    "sparse.sizes, 2, 1",
    "sparse.chunks, 0, 2",
    "sparse.chunks, 1, 0",
    "sparse.columns, 2, 2",
  })
  void wrongBytesAreRefused(String tensor, int element, int value) throws IOException {
    Path file = golden();
    byte[] bytes = Files.readAllBytes(file);
    bytes[LinearLabelTreeFileTest.range(bytes, tensor)[0] + element] = (byte) value;
    Files.write(file, bytes);
    FileFormatException refusal =
        assertThrows(FileFormatException.class, () -> SparseWeights.load(file));
    assertEquals(tensor, refusal.part());
  }

  @ParameterizedTest
  @CsvSource({
    "sparse.begins, 0, 1",
    "sparse.begins, 1, -1",
    "sparse.begins, 1, 2000000000",
    "sparse.chunks, 0, -1",
    "sparse.chunks, 0, 2",
    "sparse.chunks, 1, 0",
    "sparse.columns, 0, -1",
    "sparse.weights, 0, 2143289344",
    "sparse.biases, 1, 1065353216",
  })
  void wrongNumbersAreRefused(String tensor, int element, int value) throws IOException {
    Path file = folder.resolve("weights");
    byte[] bytes = LinearLabelTreeFileTest.withIntChunks(GOLDEN, "sparse.chunks");
    int at = LinearLabelTreeFileTest.range(bytes, tensor)[0] + 4 * element;
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(at, value);
    Files.write(file, bytes);
    FileFormatException refusal =
        assertThrows(FileFormatException.class, () -> SparseWeights.load(file));
    assertEquals(tensor, refusal.part());
  }

  @ParameterizedTest
  @ValueSource(strings = {"sparse.chunks", "sparse.columns", "sparse.weights"})
  void mappedFilesOfAnyContentCanBeUsed(String tensor) throws IOException {
    Path file = folder.resolve("weights");
    byte[] right = LinearLabelTreeFileTest.withIntChunks(GOLDEN, "sparse.chunks");
    int[] range = LinearLabelTreeFileTest.range(right, tensor);
    SplittableRandom random = new SplittableRandom(Seed.value());
    try (SparseRows x = SparseRows.of(List.of(new int[] {0, 1}))) {
      for (int round = 0; round < 40; round++) {
        byte[] bytes = right.clone();
        bytes[random.nextInt(range[0], range[1])] = (byte) random.nextInt();
        Files.write(file, bytes);
        try (SparseWeights sparse = SparseWeights.load(file, LoadOptions.mapped())) {
          assertTrue(sparse.topK(x, 9).size(0) <= 9);
          assertTrue(sparse.explain(x, 1).size() <= 2);
        } catch (IllegalStateException e) {
          assertEquals("weights: the mapped file is damaged", e.getMessage());
        }
      }
    }
  }
}
