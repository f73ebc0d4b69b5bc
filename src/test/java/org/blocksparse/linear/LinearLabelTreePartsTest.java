// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
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

/** A tree of parts has the bytes of one that was trained at once. */
final class LinearLabelTreePartsTest {
  private static final int FEATURES = 41;
  private static final int ROWS = 400;

  @TempDir Path folder;

  /** Rows with up to five features and up to three labels, most of which follow from a feature. */
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

  /** Solves all parts, each output by itself or all at once, in random order. */
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
}
