// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A tree of parts has the bytes of one that was trained as a whole. */
final class LinearLabelTreePartsTest {
  private static final int FEATURES = 41;
  private static final int ROWS = 400;

  @TempDir Path folder;

  /**
   * Returns rows with up to five features and up to three labels, most of which follow from a
   * feature.
   */
  private static List<int[]> features(Random random) {
    return IntStream.range(0, ROWS)
        .mapToObj(row -> random.ints(random.nextInt(6), 0, FEATURES).toArray())
        .toList();
  }

  private static List<int[]> labels(List<int[]> features, int labels, Random random) {
    return features.stream()
        .map(
            of ->
                Arrays.stream(of)
                    .limit(3)
                    .map(feature -> (feature * 7 + random.nextInt(2)) % labels)
                    .toArray())
        .toList();
  }

  /** Solves all parts, each output separately or all together, in random order. */
  private static List<byte[]> solutions(LinearLabelTreeParts parts, Random random) {
    List<byte[]> solutions = new ArrayList<>();
    for (int part = 0; part < parts.count(); part++) {
      byte[] problem = parts.problem(part);
      int step = part % 2 == 0 ? 1 : parts.outputs(part);
      for (int output = 0; output < parts.outputs(part); output += step) {
        solutions.add(LinearLabelTreeParts.solve(problem, output, output + step));
      }
    }
    Collections.shuffle(solutions, random);
    return solutions;
  }

  private void assertSame(LinearLabelTree expected, LinearLabelTree found) throws IOException {
    expected.save(folder.resolve("expected"));
    found.save(folder.resolve("found"));
    assertEquals(
        -1,
        Files.mismatch(folder.resolve("expected"), folder.resolve("found")),
        "the first byte that differs");
  }

  @ParameterizedTest
  @CsvSource({
    "1, 2, false, false",
    "31, 96, true, false",
    "37, 4, false, true",
    "211, 3, true, true",
    "211, 2, true, false"
  })
  void theTreeIsThatOfOneProcess(int labels, int clusterSize, boolean weighted, boolean tfIdf)
      throws IOException {
    Random random = new Random(labels);
    List<int[]> features = features(random);
    LinearLabelTreeBuilder builder =
        LinearLabelTree.builder(FEATURES, labels).clusterSize(clusterSize).seed(3).threshold(0.01f);
    if (tfIdf) {
      builder.tfIdf();
    }
    FloatTensor weights = FloatTensor.zeros(ROWS);
    for (int row = 0; row < ROWS; row++) {
      weights.set(row % 3, row); // some rows are left out
    }
    try (SparseRows x = SparseRows.of(features);
        SparseRows targets = SparseRows.of(labels(features, labels, random));
        LinearLabelTree expected =
            weighted ? builder.train(x, targets, weights) : builder.train(x, targets)) {
      LinearLabelTreeParts parts =
          weighted ? builder.parts(x, targets, weights) : builder.parts(x, targets);
      assertTrue(parts.count() >= expected.clusterCount());
      try (LinearLabelTree found = parts.tree(solutions(parts, random).iterator())) {
        assertSame(expected, found);
      }
    }
  }

  @Test
  void rowsMayBeNone() throws IOException {
    LinearLabelTreeBuilder builder = LinearLabelTree.builder(3, 9).clusterSize(2);
    try (SparseRows none = SparseRows.of(List.of());
        LinearLabelTree expected = builder.train(none, none)) {
      LinearLabelTreeParts parts = builder.parts(none, none);
      try (LinearLabelTree found = parts.tree(solutions(parts, new Random(1)).iterator())) {
        assertSame(expected, found);
      }
    }
  }

  private static LinearLabelTreeParts parts() {
    LinearLabelTreeBuilder builder = LinearLabelTree.builder(3, 3).clusterSize(2);
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0, 1}, new int[] {2}))) {
      return builder.parts(rows, rows);
    }
  }

  private static void assertRefused(String reason, List<byte[]> solutions) {
    LinearLabelTreeParts parts = parts();
    List<byte[]> all = new ArrayList<>(solutions(parts, new Random(1)));
    all.addAll(solutions);
    Exception e = assertThrows(IllegalArgumentException.class, () -> parts.tree(all.iterator()));
    assertEquals("solutions: " + reason, e.getMessage());
  }

  @Test
  void wrongSolutionsAreRefused() {
    LinearLabelTreeParts parts = parts();
    List<byte[]> solutions = solutions(parts, new Random(1));
    byte[] again = solutions.get(0);
    assertRefused("one is of another training", List.of(again));
    Exception missing =
        assertThrows(
            IllegalArgumentException.class, () -> parts.tree(List.<byte[]>of().iterator()));
    assertEquals("solutions: output 0 of part 0 is missing", missing.getMessage());
    solutions.add(again);
    Exception twice =
        assertThrows(IllegalArgumentException.class, () -> parts.tree(solutions.iterator()));
    assertTrue(twice.getMessage().endsWith(" is there twice"), twice.getMessage());
  }

  @Test
  void wrongBytesAreRefused() {
    LinearLabelTreeParts parts = parts();
    byte[] problem = parts.problem(0);
    assertThrows(IndexOutOfBoundsException.class, () -> parts.problem(parts.count()));
    assertThrows(IndexOutOfBoundsException.class, () -> parts.outputs(-1));
    int outputs = parts.outputs(0);
    assertThrows(
        IndexOutOfBoundsException.class, () -> LinearLabelTreeParts.solve(problem, 0, outputs + 1));
    assertThrows(IndexOutOfBoundsException.class, () -> LinearLabelTreeParts.solve(problem, 1, 0));
    byte[] solution = LinearLabelTreeParts.solve(problem, 0, outputs);
    assertThrows(IllegalArgumentException.class, () -> LinearLabelTreeParts.solve(solution, 0, 1));
    for (int length = 0; length < problem.length; length++) {
      byte[] cut = Arrays.copyOf(problem, length);
      assertThrows(IllegalArgumentException.class, () -> LinearLabelTreeParts.solve(cut, 0, 0));
    }
    for (int length = 0; length < solution.length; length++) {
      List<byte[]> cut = List.of(Arrays.copyOf(solution, length));
      assertThrows(IllegalArgumentException.class, () -> parts.tree(cut.iterator()));
    }
  }

  /** Returns the bytes with one bit, byte or word changed, some to the extreme values of types. */
  private static List<byte[]> changed(byte[] bytes) {
    List<byte[]> all = new ArrayList<>();
    for (int i = 0; i < bytes.length; i++) {
      for (int mask : new int[] {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
        byte[] changed = bytes.clone();
        changed[i] ^= (byte) mask;
        all.add(changed);
      }
    }
    for (int i = 0; i + Integer.BYTES <= bytes.length; i += Integer.BYTES) {
      int word = ByteBuffer.wrap(bytes).getInt(i);
      int[] others = {
        0,
        1,
        -1,
        word - 1,
        word + 1,
        -word,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE, // extreme ints
        0x7fc00000,
        0x7f800000,
        0xff800000,
        0x7f7fffff, // NaN, infinities, largest float
        0x7ff80000,
        0x7ff00000,
        0xfff00000,
        0x7fefffff // and high halves of doubles
      };
      for (int other : others) {
        all.add(ByteBuffer.wrap(bytes.clone()).putInt(i, other).array());
      }
    }
    return all;
  }

  private static LinearLabelTreeParts calibratedParts(int count) {
    List<int[]> rows =
        IntStream.range(0, count).mapToObj(i -> new int[] {i % 3, 3 + i % 2}).toList();
    List<int[]> labels = IntStream.range(0, count).mapToObj(i -> new int[] {i % 3}).toList();
    try (SparseRows x = SparseRows.of(rows);
        SparseRows targets = SparseRows.of(labels)) {
      return LinearLabelTree.builder(5, 3).clusterSize(2).parts(x, targets);
    }
  }

  /** Each part is a tenth of the rows, and they have at most about 1,000 rows together. */
  @ParameterizedTest
  @CsvSource({"9, 1", "19, 1", "24, 2", "1000, 10", "5009, 2", "5010, 1"})
  void fewRowsHaveMoreFolds(int rows, int folds) {
    ChunkProblem problem = ChunkProblem.of(calibratedParts(rows).problem(0));
    assertEquals(folds, problem.heldOut().size());
    int heldOut = problem.heldOut().stream().mapToInt(BitSet::cardinality).sum();
    assertEquals(rows * folds / 10.0, heldOut, 5 * Math.sqrt(rows));
  }

  @Test
  void aChangedProblemIsRefusedOrSolved() {
    byte[] problem = calibratedParts(24).problem(0);
    int solved = 0;
    for (byte[] changed : changed(problem)) {
      ChunkProblem read;
      try {
        read = ChunkProblem.of(changed);
      } catch (IllegalArgumentException e) {
        assertThrows(
            IllegalArgumentException.class, () -> LinearLabelTreeParts.solve(changed, 0, 0));
        continue;
      }
      byte[] solution = LinearLabelTreeParts.solve(changed, 0, read.outputs());
      assertEquals(read.outputs(), ChunkSolution.of(solution, Integer.MAX_VALUE).models().length);
      solved++;
    }
    assertTrue(solved > problem.length, "only " + solved + " changes are solved");
  }

  @Test
  void aChangedSolutionIsRefusedOrGivesAFiniteTree() {
    LinearLabelTreeParts parts = calibratedParts(24);
    List<byte[]> solutions = new ArrayList<>();
    for (int part = 0; part < parts.count(); part++) {
      solutions.add(LinearLabelTreeParts.solve(parts.problem(part), 0, parts.outputs(part)));
    }
    byte[] solution = solutions.get(0);
    OutputModel[] models = ChunkSolution.of(solution, 5).models();
    assertTrue(Arrays.stream(models).anyMatch(model -> model.samples() != null), "no samples");
    int trees = 0;
    for (byte[] changed : changed(solution)) {
      solutions.set(0, changed);
      try (LinearLabelTree tree = parts.tree(solutions.iterator())) {
        assertFinite(tree.model());
        trees++;
      } catch (IllegalArgumentException e) {
        assertTrue(e.getMessage().startsWith("solutions: "), e.getMessage());
      }
    }
    assertTrue(trees > solution.length, "only " + trees + " changes give trees");
  }

  private static void assertFinite(LinearModel model) {
    for (int i = 0; i < model.tree().outputs(); i++) {
      assertTrue(Float.isFinite(model.weights().biases().getFloat(i)));
    }
    for (int i = 0; i < model.weights().entries(); i++) {
      assertTrue(Float.isFinite(model.weights().w().getFloat(i)));
    }
    model.calibrations().forEach(each -> assertTrue(each.isFinite(), each::toString));
  }

  /** Messages name the invalid field. */
  @Test
  void messagesNameTheField() {
    ChunkProblem problem = ChunkProblem.of(calibratedParts(24).problem(0));
    problem.x().offsets()[1] = -1;
    assertMessage("problem: x: expected offsets in [0, 48] but was -1", problem);
    problem.x().offsets()[1] = 2;
    problem.x().columns()[1] = 5;
    assertMessage("problem: x: expected numbers in (0, 5) but was 5", problem);
    problem.x().columns()[1] = 3;
    problem.costs()[7] = Double.NaN;
    assertMessage("problem: costs: expected a number in [2^-300, 2^257] but was NaN", problem);
    problem.costs()[7] = 1;
    problem.heldOut().get(0).set(24);
    assertMessage("problem: heldOut: expected numbers below 24 but was 24", problem);
    problem.heldOut().get(0).clear(24);
    double[] costs = Arrays.copyOf(problem.costs(), 23);
    assertMessage(
        "problem: costs: expected length 24 but was 23",
        with(problem, costs, problem.x(), problem.heldOut()));
    SparseMatrix x = problem.x();
    SparseMatrix more = new SparseMatrix(x.offsets(), x.columns(), new float[49]);
    assertMessage(
        "problem: x.values: expected length 48 but was 49",
        with(problem, problem.costs(), more, problem.heldOut()));
    SparseMatrix fewer = new SparseMatrix(Arrays.copyOf(x.offsets(), 24), x.columns(), x.values());
    assertMessage(
        "problem: x: expected length 46 but was 48",
        with(problem, problem.costs(), fewer, problem.heldOut()));
    List<BitSet> folds = Collections.nCopies(11, new BitSet());
    assertMessage(
        "problem: heldOut: expected at most 10 folds but was 11",
        with(problem, problem.costs(), x, folds));
  }

  private static ChunkProblem with(
      ChunkProblem problem, double[] costs, SparseMatrix x, List<BitSet> heldOut) {
    return new ChunkProblem(
        problem.training(),
        problem.chunk(),
        problem.firstOutput(),
        problem.sampledEvery(),
        problem.threshold(),
        problem.seed(),
        problem.meanCost(),
        problem.rows(),
        x,
        problem.features(),
        costs,
        problem.positives(),
        heldOut);
  }

  private static void assertMessage(String expected, ChunkProblem problem) {
    byte[] bytes = problem.toBytes();
    Exception e =
        assertThrows(IllegalArgumentException.class, () -> LinearLabelTreeParts.solve(bytes, 0, 1));
    assertEquals(expected, e.getMessage());
  }

  @Test
  void moreBytesThanAnArrayHoldsAreRefusedBeforeTheyAreMade() {
    int[] some = new int[1 << 20];
    ArrayBytes.Writer bytes = new ArrayBytes.Writer(1);
    for (int i = 0; i < 1 << 9; i++) {
      bytes.put(some); // its length makes it 2^31 + 2^11 + 4 bytes in total
    }
    Exception e = assertThrows(IllegalStateException.class, () -> bytes.array("x: rows"));
    assertEquals(
        "x: rows are more bytes than an array can hold: expected at most 2^31 - 9 but was "
            + 2147485700L,
        e.getMessage());
    ChunkProblem.requireRoom((1 << 28) - 2);
    assertThrows(IllegalStateException.class, () -> ChunkProblem.requireRoom(1 << 28));
  }
}
