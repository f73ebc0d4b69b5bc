// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.MessageFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ForkJoinPool;
import java.util.function.DoubleBinaryOperator;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.search.LogOdds;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A linear label tree: training, search, and files. */
@Tag("xcheck")
final class LinearLabelTreeTest {
  private static final int WORDS = 53;

  @TempDir Path folder;

  /** Rows whose labels follow from their features, with a little noise. */
  private record Data(SparseRows x, SparseRows targets, List<int[]> labels)
      implements AutoCloseable {
    static Data of(int rows, int labels, long seed) {
      SplittableRandom random = new SplittableRandom(seed);
      List<int[]> indices = new ArrayList<>();
      List<float[]> values = new ArrayList<>();
      List<int[]> targets = new ArrayList<>();
      for (int row = 0; row < rows; row++) {
        int label = random.nextInt(labels);
        int other = random.nextInt(labels);
        // Each label has three words, and shares some of them.
        int[] words = IntStream.concat(wordsOf(label), wordsOf(other)).distinct().toArray();
        indices.add(words);
        float[] of = new float[words.length];
        Arrays.fill(of, (float) (1 / Math.sqrt(words.length)));
        values.add(of);
        targets.add(random.nextInt(5) == 0 ? new int[] {label} : new int[] {other, label, other});
      }
      return new Data(SparseRows.of(indices, values), SparseRows.of(targets), targets);
    }

    private static IntStream wordsOf(int label) {
      return IntStream.of(label * 7 % WORDS, label * 11 % WORDS, label * 13 % WORDS);
    }

    @Override
    public void close() {
      x.close();
      targets.close();
    }
  }

  private static LinearLabelTree train(Data data, int labels, int clusterSize, Workers workers) {
    return LinearLabelTree.builder(WORDS, labels)
        .clusterSize(clusterSize)
        .workers(workers)
        .seed(4)
        .train(data.x(), data.targets());
  }

  private static LinearLabelTree train(Data data, int labels, int clusterSize) {
    return train(data, labels, clusterSize, Workers.common());
  }

  private static void assertSame(Ranking wanted, Ranking actual) {
    assertEquals(wanted.batch(), actual.batch());
    for (int row = 0; row < wanted.batch(); row++) {
      assertArrayEquals(wanted.outputs(row), actual.outputs(row));
      assertArrayEquals(wanted.logProbabilities(row), actual.logProbabilities(row));
    }
  }

  @Test
  void itLearnsWhatFollowsFromFeatures() {
    try (Data data = Data.of(1200, 40, Seed.value());
        Data other = Data.of(300, 40, Seed.value() + 1);
        LinearLabelTree tree = train(data, 40, 4)) {
      Ranking ranking = tree.topK(other.x(), 2);
      int right = 0;
      for (int row = 0; row < ranking.batch(); row++) {
        int best = ranking.output(row, 0);
        right += Arrays.stream(other.labels().get(row)).anyMatch(label -> label == best) ? 1 : 0;
      }
      // In a fifth of the rows only one of two labels is right, and no feature tells which.
      assertTrue(right > 0.85 * ranking.batch(), right + " of " + ranking.batch());
      assertEquals(16, tree.clusterCount());
    }
  }

  /** For rows like those of training, the mean probability is the frequency of the answers. */
  @Test
  void probabilitiesAreCalibrated() {
    try (Data data = Data.of(2000, 40, Seed.value());
        Data other = Data.of(1000, 40, Seed.value() + 1);
        LinearLabelTree tree = train(data, 40, 4)) {
      Ranking ranking = tree.topK(other.x(), 40);
      double expected = 0;
      int found = 0;
      for (int row = 0; row < ranking.batch(); row++) {
        for (int rank = 0; rank < ranking.size(row); rank++) {
          expected += ranking.probability(row, rank);
        }
        found += (int) Arrays.stream(other.labels().get(row)).distinct().count();
      }
      assertEquals(found, expected, 0.1 * found);
    }
  }

  /** Returns rows with one label, which a word tells, except that three of ten words mislead. */
  private static Data noisy(int rows, int labels, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<int[]> x = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    List<int[]> targets = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      int label = random.nextInt(labels);
      int shown = random.nextInt(10) < 3 ? random.nextInt(labels) : label;
      x.add(new int[] {shown, labels + shown % 7, labels + 7 + random.nextInt(6)});
      values.add(new float[] {0.6f, 0.6f, 0.5f});
      targets.add(new int[] {label});
    }
    return new Data(SparseRows.of(x, values), SparseRows.of(targets), targets);
  }

  /** Neither the cost nor the scale of row weights affects probabilities except through margins. */
  @ParameterizedTest
  @CsvSource({
    "1, 1, 20", "0.1, 1, 20", "0.01, 1, 20", "0.001, 1, 20", "40, 1, 20",
    "1, 0.00025, 20", "1, 1000, 20", "1, 1, 3", "0.01, 1, 3", "0.1, 1, 3"
  })
  void probabilitiesAreFrequenciesForAnyCostAndWeights(float cost, float weight, int clusterSize) {
    int labels = 20;
    int rows = 4000;
    try (Data data = noisy(rows, labels, Seed.value());
        Data other = noisy(rows, labels, Seed.value() + 1);
        FloatTensor weights = FloatTensor.zeros(rows)) {
      weights.fill(weight);
      try (LinearLabelTree tree =
          LinearLabelTree.builder(labels + 13, labels)
              .clusterSize(clusterSize)
              .cost(cost)
              .threshold(0)
              .train(data.x(), data.targets(), weights)) {
        Ranking ranking = tree.topK(other.x(), labels);
        double expected = 0;
        double expectedOfFirst = 0;
        int right = 0;
        for (int row = 0; row < rows; row++) {
          expectedOfFirst += ranking.probability(row, 0);
          right += ranking.output(row, 0) == other.labels().get(row)[0] ? 1 : 0;
          for (int rank = 0; rank < labels; rank++) {
            expected += ranking.probability(row, rank);
          }
        }
        assertEquals(rows, expected, 0.1 * rows, Seed.howToRepeat());
        assertEquals(right, expectedOfFirst, 0.15 * rows, Seed.howToRepeat());
      }
    }
  }

  /** Row weights times a number equal a cost times that number, bit by bit. */
  @ParameterizedTest
  @ValueSource(floats = {0x1p-12f, 0x1p-3f, 0x1p9f})
  void onlyTheProductOfCostAndWeightCounts(float factor) throws IOException {
    try (Data data = Data.of(300, 13, Seed.value());
        FloatTensor weights = FloatTensor.zeros(300);
        FloatTensor scaled = FloatTensor.zeros(300)) {
      for (int row = 0; row < 300; row++) {
        weights.set(1 + row % 4, row);
        scaled.set(factor * (1 + row % 4), row);
      }
      LinearLabelTreeBuilder builder = LinearLabelTree.builder(WORDS, 13).clusterSize(3);
      assertArrayEquals(
          fileOf(builder.cost(factor), data.x(), data.targets(), weights),
          fileOf(builder.cost(1), data.x(), data.targets(), scaled));
    }
  }

  /** If labels do not follow from features, the ranking can still be saved and loaded. */
  @Test
  void labelsDrawnAtRandomMakeATreeThatLoads() throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Path file = folder.resolve("random");
    for (int round = 0; round < 8; round++) {
      List<int[]> targets = new ArrayList<>();
      for (int row = 0; row < 300; row++) {
        targets.add(new int[] {random.nextInt(12)});
      }
      try (Data data = Data.of(300, 12, Seed.value() + round);
          SparseRows labels = SparseRows.of(targets);
          LinearLabelTree tree =
              LinearLabelTree.builder(WORDS, 12).clusterSize(3).train(data.x(), labels)) {
        tree.save(file);
        try (LinearLabelTree loaded = LinearLabelTree.load(file)) {
          assertSame(tree.topK(data.x(), 12), loaded.topK(data.x(), 12));
        }
      }
    }
  }

  /** Returns the probabilities of all labels by the formula, from the tensors of the file. */
  private static double[][] bruteForce(Path file, SparseRows x, int labels) throws IOException {
    return bruteForce(file, x, labels, 1, (ofChunk, logit) -> ofChunk / (1 + Math.exp(-logit)));
  }

  /**
   * Returns a number for each label, computed along its path.
   *
   * @param with combines the number of a chunk with the log odds of an output of the chunk
   */
  private static double[][] bruteForce(
      Path file, SparseRows x, int labels, double begin, DoubleBinaryOperator with)
      throws IOException {
    try (TensorFile tensors = TensorFile.open(file);
        FloatTensor weights = tensors.floats("tree.weights");
        FloatTensor biases = tensors.floats("tree.biases");
        FloatTensor calibration = tensors.floats("tree.calibration");
        IntTensor begins = tensors.ints("tree.begins");
        IntTensor outputs = tensors.ints("tree.outputs");
        IntTensor levels = tensors.ints("tree.levels");
        IntTensor labelOf = tensors.ints("tree.labels")) {
      byte[] columns = LinearLabelTreeFileTest.bytesOf(file, "tree.columns");
      byte[] chunkOf = LinearLabelTreeFileTest.bytesOf(file, "tree.chunks");
      byte[] sizes = LinearLabelTreeFileTest.bytesOf(file, "tree.sizes");
      int[] starts = new int[sizes.length + 1];
      for (int i = 0; i < sizes.length; i++) {
        starts[i + 1] = starts[i] + (sizes[i] & 0xff) + 1;
      }
      int chunks = (int) outputs.shape().dim(0) - 1;
      double[][] result = new double[x.rows()][labels];
      for (int row = 0; row < x.rows(); row++) {
        double[] margins = new double[biases.toArray().length];
        for (int o = 0; o < margins.length; o++) {
          margins[o] = biases.get(o);
        }
        int[] features = x.indices(row);
        float[] values = x.values(row);
        for (int e = 0; e < features.length; e++) {
          for (int i = begins.get(features[e]); i < begins.get(features[e] + 1); i++) {
            for (int w = starts[i]; w < starts[i + 1]; w++) {
              int output = outputs.get(chunkOf[i] & 0xff) + (columns[w] & 0xff);
              margins[output] += (double) values[e] * weights.get(w);
            }
          }
        }
        double[] ofChunk = new double[chunks];
        ofChunk[0] = begin;
        for (int chunk = 0; chunk < chunks; chunk++) {
          int level = 0;
          while (chunk >= levels.get(level + 1)) {
            level++;
          }
          for (int o = outputs.get(chunk); o < outputs.get(chunk + 1); o++) {
            double logit = calibration.get(level, 0) * margins[o] + calibration.get(level, 1);
            double ofOutput = with.applyAsDouble(ofChunk[chunk], logit);
            if (o + 1 < chunks) {
              ofChunk[o + 1] = ofOutput;
            } else {
              result[row][labelOf.get(o + 1 - chunks)] = ofOutput;
            }
          }
        }
      }
      return result;
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 2", "2, 2", "3, 2", "31, 2", "37, 5", "67, 16", "127, 2", "29, 64"})
  void searchesFindWhatScoringAllLabelsFinds(int labels, int clusterSize) throws IOException {
    Path file = folder.resolve("tree");
    try (Data data = Data.of(150, labels, Seed.value());
        LinearLabelTree tree = train(data, labels, clusterSize)) {
      tree.save(file);
      double[][] all = bruteForce(file, data.x(), labels);
      for (int k : new int[] {1, 3, labels}) {
        Ranking ranking = tree.topK(data.x(), k);
        for (int row = 0; row < all.length; row++) {
          double[] ofRow = all[row];
          double[] best = Arrays.stream(ofRow).map(p -> -p).sorted().map(p -> -p).toArray();
          assertEquals(Math.min(k, labels), ranking.size(row));
          for (int rank = 0; rank < ranking.size(row); rank++) {
            // The best by rank, and the right number for the requested label.
            assertEquals(best[rank], ranking.probability(row, rank), 1e-5 * best[rank]);
            double own = ofRow[ranking.output(row, rank)];
            assertEquals(own, ranking.probability(row, rank), 1e-5 * own);
          }
        }
      }
      Ranking likely = tree.atLeast(data.x(), 0.25);
      for (int row = 0; row < all.length; row++) {
        assertEquals(
            (double) Arrays.stream(all[row]).filter(p -> p >= 0.25 * (1 + 1e-6)).count(),
            likely.size(row),
            Arrays.stream(all[row]).anyMatch(p -> Math.abs(p - 0.25) < 1e-6) ? 1 : 0);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"5, 8, FLOAT32", "37, 4, FLOAT16", "127, 2, FLOAT32"})
  void anExplanationAddsUpToTheLogProbability(int labels, int clusterSize, ElementType type)
      throws IOException {
    Path file = folder.resolve("tree");
    try (Data data = Data.of(300, labels, Seed.value());
        LinearLabelTree wide = train(data, labels, clusterSize);
        LinearLabelTree tree = wide.withWeights(type);
        LinearLabelTree exact = tree.withWeights(ElementType.FLOAT32);
        SparseRows none = SparseRows.of(List.of(new int[0]), List.of(new float[0]))) {
      exact.save(file);
      double[][] logs = logProbabilities(file, data.x(), labels);
      double[] constants = logProbabilities(file, none, labels)[0];
      for (int row = 0; row < 300; row += 60) {
        try (SparseRows one = data.x().slice(row, row + 1)) {
          for (int label = 0; label < labels; label++) {
            double sum = constants[label];
            double last = Double.POSITIVE_INFINITY;
            for (Term term : tree.explain(one, label)) {
              sum += term.contribution();
              assertTrue(Math.abs(term.contribution()) <= last);
              last = Math.abs(term.contribution());
              assertEquals(1 / Math.sqrt(one.size(0)), term.value(), 1e-6);
            }
            assertEquals(logs[row][label], sum, 1e-4 * (1 + Math.abs(sum)));
          }
        }
      }
      assertIntegratedGradients(tree, file, data.x());
      assertEquals(List.of(), tree.explain(none, 0));
    }
  }

  /** Calibrations scale margins by any factor: log odds count, not margins. */
  @ParameterizedTest
  @ValueSource(floats = {1e-30f, 1e-9f, 1, 1e9f})
  void anExplanationAddsUpForMarginsOfAnySize(float size) {
    LinearModel.Parts parts = new LinearModel.Parts(ChunkTree.over(new int[1], 0), 2, null);
    int[] features = {0, 1};
    float[] weights = {2 * size, -0.5f * size};
    parts.put(
        0,
        new LinearModel.ChunkWeights(features, new int[] {0, 1, 2}, new byte[2], weights),
        new float[1]);
    parts.calibrate(0, new Calibration(1 / size, -1));
    try (LinearLabelTree tree =
            new LinearLabelTree(parts.build(), Engine.from(Workers.common()), Map.of(), null);
        SparseRows x = SparseRows.of(List.of(features))) {
      double sum = tree.explain(x, 0).stream().mapToDouble(Term::contribution).sum();
      assertEquals(LogOdds.logProbability(0.5) - LogOdds.logProbability(-1), sum, 1e-6);
    }
  }

  private static double[][] logProbabilities(Path file, SparseRows x, int labels)
      throws IOException {
    return bruteForce(
        file,
        x,
        labels,
        0,
        (chunk, z) -> chunk + Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z))));
  }

  /**
   * Checks that the contribution of a feature is its value times its mean slope along the line to
   * x.
   */
  private static void assertIntegratedGradients(LinearLabelTree tree, Path file, SparseRows x)
      throws IOException {
    int steps = 64;
    float small = 1e-2f;
    int[] indices = x.indices(0);
    float[] values = x.values(0);
    List<float[]> moved = new ArrayList<>();
    for (int step = 0; step < steps; step++) {
      for (int i = 0; i < 2 * indices.length; i++) {
        float[] row = new float[indices.length];
        for (int j = 0; j < row.length; j++) {
          row[j] = values[j] * (step + 0.5f) / steps;
        }
        row[i / 2] += i % 2 == 0 ? small : -small;
        moved.add(row);
      }
    }
    try (SparseRows one = x.slice(0, 1);
        SparseRows rows = SparseRows.of(Collections.nCopies(moved.size(), indices), moved)) {
      double[][] logs = logProbabilities(file, rows, tree.outputs());
      for (int label = 0; label < tree.outputs(); label++) {
        for (Term term : tree.explain(one, label)) {
          double sum = 0;
          for (int row = 0; row < logs.length; row += 2) {
            if (indices[row / 2 % indices.length] == term.feature()) {
              sum += logs[row][label] - logs[row + 1][label];
            }
          }
          double expected = term.value() * sum / (2 * small * steps);
          assertEquals(expected, term.contribution(), 1e-2 * (1 + Math.abs(expected)));
        }
      }
    }
  }

  @Test
  void anExplanationCountsFeatures_andNamesWhatItRefuses() {
    List<int[]> x = List.of(new int[] {0, 0, 2}, new int[] {1}, new int[] {1, 2}, new int[] {0});
    List<int[]> y = List.of(new int[] {0}, new int[] {1}, new int[] {1}, new int[] {0});
    try (SparseRows rows = SparseRows.of(x);
        SparseRows targets = SparseRows.of(y);
        LinearLabelTree tree =
            LinearLabelTree.builder(3, 2).threshold(0).tfIdf().train(rows, targets);
        SparseRows one = rows.slice(0, 1);
        SparseRows weighted = SparseRows.of(List.of(new int[] {0}), List.of(new float[] {1}))) {
      Term first = tree.explain(one, 0).get(0);
      assertEquals(0, first.feature());
      assertTrue(first.contribution() > 0);
      double squares = tree.explain(one, 1).stream().mapToDouble(t -> t.value() * t.value()).sum();
      assertEquals(1, squares, 1e-6);
      assertThrows(IllegalArgumentException.class, () -> tree.explain(rows, 0));
      assertThrows(IllegalArgumentException.class, () -> tree.explain(weighted, 0));
      assertThrows(IndexOutOfBoundsException.class, () -> tree.explain(one, 2));
    }
  }

  @Test
  void aRowHasTheLengthOfEachGroup_alsoFromAFile_andWithNewFeatures() throws IOException {
    List<int[]> x = List.of(new int[] {0, 0, 2}, new int[] {1}, new int[] {1, 2}, new int[] {0});
    List<int[]> y = List.of(new int[] {0}, new int[] {1}, new int[] {1}, new int[] {0});
    Path file = folder.resolve("groups");
    try (SparseRows rows = SparseRows.of(x);
        SparseRows targets = SparseRows.of(y);
        LinearLabelTree tree =
            LinearLabelTree.builder(3, 2)
                .threshold(0)
                .tfIdf(new byte[] {0, 0, 1}, 1, 0.5f)
                .train(rows, targets)) {
      tree.save(file);
      try (LinearLabelTree loaded = LinearLabelTree.load(file);
          SparseRows wider = SparseRows.of(List.of(new int[] {0, 0, 2, 3, 3, 4}, new int[] {4}));
          SparseRows ofNew = SparseRows.of(List.of(new int[] {0}, new int[] {2}));
          LinearLabelTree more =
              LinearLabelTree.builder(5, 3)
                  .threshold(0)
                  .tfIdf(new byte[] {0, 0, 1, 1, 0}, 1, 0.5f)
                  .extend(loaded, wider, ofNew);
          SparseRows one = rows.slice(0, 1);
          SparseRows first = wider.slice(0, 1)) {
        assertEquals(1.25, squares(loaded, one, 0), 1e-6);
        assertEquals(1.25, squares(more, first, 2), 1e-6);
        assertEquals(tree.explain(one, 0).toString(), loaded.explain(one, 0).toString());
      }
    }
  }

  private static double squares(LinearLabelTree tree, SparseRows row, int output) {
    return tree.explain(row, output).stream()
        .mapToDouble(term -> term.value() * term.value())
        .sum();
  }

  @Test
  void bitsDoNotDependOnWorkersOrKernels() throws IOException {
    ForkJoinPool pool = new ForkJoinPool(5);
    try (Data data = Data.of(400, 67, Seed.value());
        LinearLabelTree one = train(data, 67, 4, Workers.callingThread());
        LinearLabelTree five = train(data, 67, 4, Workers.of(pool, 5))) {
      Path file = folder.resolve("one");
      Path other = folder.resolve("five");
      one.save(file);
      five.save(other);
      assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(other));
      for (ElementType type :
          List.of(ElementType.FLOAT32, ElementType.FLOAT16, ElementType.BFLOAT16)) {
        try (LinearLabelTree narrow = one.withWeights(type)) {
          narrow.save(file);
        }
        Ranking reference = null;
        for (Kernels kernels :
            KernelsUnderTest.all().stream().map(KernelsUnderTest::kernels).toList()) {
          LoadOptions options = LoadOptions.copied().withWorkers(KernelWorkers.of(kernels));
          try (LinearLabelTree tree = LinearLabelTree.load(file, options)) {
            assertEquals(type, tree.weightType());
            Ranking ranking = tree.topK(data.x(), 7);
            reference = reference == null ? ranking : reference;
            assertSame(reference, ranking);
          }
        }
      }
    } finally {
      pool.shutdown();
    }
  }

  @Test
  void filtersLeaveTheOrderOfTheOthers() {
    try (Data data = Data.of(300, 37, Seed.value());
        LinearLabelTree tree = train(data, 37, 3)) {
      Ranking all = tree.topK(data.x(), 37);
      int[] odd = IntStream.range(0, 37).filter(label -> label % 2 == 1).toArray();
      Ranking without = tree.topK(data.x(), 5, Filter.without(odd));
      Ranking only = tree.topK(data.x(), 5, Filter.only(odd).and(Filter.without(data.targets())));
      for (int row = 0; row < all.batch(); row++) {
        int[] ofRow = all.outputs(row);
        int[] own = data.labels().get(row);
        assertArrayEquals(
            Arrays.stream(ofRow).filter(label -> label % 2 == 0).limit(5).toArray(),
            without.outputs(row));
        assertArrayEquals(
            Arrays.stream(ofRow)
                .filter(label -> label % 2 == 1)
                .filter(label -> Arrays.stream(own).noneMatch(each -> each == label))
                .limit(5)
                .toArray(),
            only.outputs(row));
      }
      assertTrue(tree.topK(data.x(), 1, Filter.only(new int[0])).isFilteredOut(0));
    }
  }

  @Test
  void searchOpensFewClusters() {
    try (Data data = Data.of(1200, 127, Seed.value());
        LinearLabelTree tree = train(data, 127, 2)) {
      Ranking ranking = tree.topK(data.x(), 1);
      double opened = IntStream.range(0, 1200).map(ranking::openedClasses).average().orElseThrow();
      assertTrue(opened < tree.clusterCount() / 4.0, opened + " of " + tree.clusterCount());
    }
  }

  /** A row of weight 2 counts as two rows, and one of weight 0 not at all. */
  @Test
  void weightsOfRowsCount() {
    List<int[]> x = List.of(new int[] {0}, new int[] {0}, new int[] {1}, new int[] {0});
    List<int[]> y = List.of(new int[] {0}, new int[] {1}, new int[] {1}, new int[] {2});
    try (SparseRows rows = SparseRows.of(x);
        SparseRows targets = SparseRows.of(y);
        FloatTensor weights = FloatTensor.of(new float[] {5, 1, 1, 0}, 4);
        LinearLabelTree tree = LinearLabelTree.builder(2, 3).train(rows, targets, weights);
        LinearLabelTree equal = LinearLabelTree.builder(2, 3).train(rows, targets)) {
      assertArrayEquals(new int[] {0, 1, 2}, tree.topK(rows, 3).outputs(0));
      float heavy = probability(tree.topK(rows, 3), 0, 0);
      assertTrue(heavy > probability(equal.topK(rows, 3), 0, 0));
      float ignored = probability(tree.topK(rows, 3), 0, 2);
      assertTrue(ignored < probability(equal.topK(rows, 3), 0, 2));
    }
  }

  /** Repeated entries of a feature are added up, in any order: the model has the same bits. */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5, 12, 40})
  void rowsAreSumsOfTheirEntries(int repeats) throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    List<int[]> merged = new ArrayList<>();
    List<float[]> sums = new ArrayList<>();
    List<int[]> repeated = new ArrayList<>();
    List<float[]> parts = new ArrayList<>();
    List<int[]> targets = new ArrayList<>();
    for (int row = 0; row < 200; row++) {
      int label = random.nextInt(9);
      int[] features = {label, 9 + random.nextInt(5), 14 + random.nextInt(3)};
      int[] counts = {1 + random.nextInt(repeats), repeats, 1 + random.nextInt(repeats)};
      List<Integer> entries = new ArrayList<>();
      for (int i = 0; i < features.length; i++) {
        entries.addAll(Collections.nCopies(counts[i], features[i]));
      }
      Collections.shuffle(entries, new Random(random.nextLong()));
      targets.add(new int[] {label});
      merged.add(features);
      sums.add(new float[] {counts[0], counts[1], counts[2]});
      repeated.add(entries.stream().mapToInt(Integer::intValue).toArray());
      float[] ones = new float[entries.size()];
      Arrays.fill(ones, 1);
      parts.add(ones);
    }
    try (SparseRows wanted = SparseRows.of(merged, sums);
        SparseRows rows = SparseRows.of(repeated, parts);
        SparseRows counted = SparseRows.of(repeated);
        SparseRows y = SparseRows.of(targets)) {
      byte[] file = fileOf(LinearLabelTree.builder(17, 9).clusterSize(2), wanted, y);
      for (SparseRows x : List.of(rows, counted)) {
        assertArrayEquals(file, fileOf(LinearLabelTree.builder(17, 9).clusterSize(2), x, y));
      }
    }
  }

  /** Without them, the model has the same bits, with TF-IDF as well. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void rowsOfWeight0AreLeftOut(boolean tfIdf) throws IOException {
    try (Data data = Data.of(200, 13, Seed.value());
        SparseRows counts =
            SparseRows.of(IntStream.range(0, 200).mapToObj(data.x()::indices).toList())) {
      int[] kept = IntStream.range(0, 200).filter(row -> row % 3 != 0).toArray();
      SparseRows x = tfIdf ? counts : data.x();
      LinearLabelTreeBuilder builder = LinearLabelTree.builder(WORDS, 13).clusterSize(4);
      try (SparseRows some = x.select(kept);
          SparseRows targets = data.targets().select(kept);
          FloatTensor ofAll = FloatTensor.zeros(200);
          FloatTensor ofSome = FloatTensor.zeros(kept.length)) {
        for (int row = 0; row < kept.length; row++) {
          ofSome.set(row % 5 + 0.5f, row);
          ofAll.set(row % 5 + 0.5f, kept[row]);
        }
        assertArrayEquals(
            fileOf(tfIdf ? builder.tfIdf() : builder, some, targets, ofSome),
            fileOf(builder, x, data.targets(), ofAll));
      }
    }
  }

  private byte[] fileOf(LinearLabelTreeBuilder builder, SparseRows x, SparseRows y)
      throws IOException {
    try (FloatTensor weights = FloatTensor.zeros(x.rows())) {
      weights.fill(1);
      return fileOf(builder, x, y, weights);
    }
  }

  private byte[] fileOf(
      LinearLabelTreeBuilder builder, SparseRows x, SparseRows y, FloatTensor weights)
      throws IOException {
    try (LinearLabelTree tree = builder.train(x, y, weights)) {
      tree.save(folder.resolve("tree"));
      return Files.readAllBytes(folder.resolve("tree"));
    }
  }

  /** One row with very many entries does not affect others. */
  @Test
  void aRowMayListAFeatureVeryOften() {
    List<int[]> x = new ArrayList<>();
    List<int[]> y = new ArrayList<>();
    for (int row = 0; row < 200; row++) {
      x.add(row == 7 ? new int[100_000] : new int[] {row % 4});
      y.add(new int[] {row == 7 ? 0 : row % 4});
    }
    try (SparseRows rows = SparseRows.of(x);
        SparseRows targets = SparseRows.of(y);
        LinearLabelTree tree = LinearLabelTree.builder(4, 4).train(rows, targets)) {
      Ranking ranking = tree.topK(rows, 1);
      for (int row = 0; row < 200; row++) {
        assertTrue(ranking.isDefined(row));
        assertEquals(y.get(row)[0], ranking.output(row, 0));
      }
    }
  }

  @Test
  void sumsBeyondFloatsAreRefusedWithTheirRow() {
    float most = Float.MAX_VALUE;
    try (SparseRows rows =
            SparseRows.of(
                List.of(new int[] {1, 1}, new int[] {0, 1, 1}),
                List.of(new float[] {most, -most}, new float[] {1, most, most}));
        SparseRows targets = SparseRows.of(List.of(new int[] {0}, new int[] {1}))) {
      assertFails(
          IllegalArgumentException.class,
          "x: the values of feature 1 in row 1 add up to 6.805646932770577E38",
          () -> LinearLabelTree.builder(2, 2).train(rows, targets));
    }
  }

  private static float probability(Ranking ranking, int row, int label) {
    int rank = Arrays.stream(ranking.outputs(row)).boxed().toList().indexOf(label);
    return ranking.logProbability(row, rank);
  }

  /** Answers that cannot be learned, at a cost that allows nearly no errors, exhaust the passes. */
  @Test
  void aSolverThatDoesNotEndIsLogged() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    List<int[]> x = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    List<int[]> y = new ArrayList<>();
    for (int row = 0; row < 300; row++) {
      x.add(IntStream.range(0, 20).toArray());
      float[] ofRow = new float[20];
      for (int i = 0; i < ofRow.length; i++) {
        ofRow[i] = random.nextFloat() * 9;
      }
      values.add(ofRow);
      y.add(new int[] {random.nextInt(3)});
    }
    List<String> logged = new ArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord entry) {
            logged.add(MessageFormat.format(entry.getMessage(), entry.getParameters()));
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("org.blocksparse");
    logger.addHandler(handler);
    logger.setUseParentHandlers(false);
    try (SparseRows rows = SparseRows.of(x, values);
        SparseRows targets = SparseRows.of(y)) {
      LinearLabelTree.builder(20, 3).cost(1e-3f).train(rows, targets).close();
      assertEquals(List.of(), logged);
      LinearLabelTree.builder(20, 3).cost(1e4f).train(rows, targets).close();
    } finally {
      logger.removeHandler(handler);
      logger.setUseParentHandlers(true);
    }
    assertEquals(1, logged.size());
    assertTrue(
        logged.get(0).matches("LinearLabelTree: after 1.000 passes, 3 of 3 models .*"),
        logged.get(0));
  }

  @Test
  void labelsWithoutRowsAreUnlikely() {
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        SparseRows targets = SparseRows.of(List.of(new int[] {3}, new int[] {0}));
        LinearLabelTree tree = LinearLabelTree.builder(2, 5).clusterSize(2).train(rows, targets)) {
      assertEquals(3, tree.topK(rows, 5).output(0, 0));
      assertEquals(0, tree.topK(rows, 5).output(1, 0));
    }
  }

  @Test
  void rowsMayBeEmptyAndNone() {
    try (SparseRows none = SparseRows.of(new int[] {0}, new int[0]);
        SparseRows empty = SparseRows.of(List.of(new int[0], new int[0]));
        LinearLabelTree untrained = LinearLabelTree.builder(3, 5).train(none, none);
        LinearLabelTree tree = LinearLabelTree.builder(3, 5).clusterSize(2).train(empty, empty)) {
      assertEquals(0, tree.topK(none, 2).batch());
      assertArrayEquals(new int[] {0, 1, 2, 3, 4}, untrained.topK(empty, 9).outputs(1));
      assertEquals(0, tree.weightCount());
      assertEquals(5, tree.topK(empty, 9).size(0));
    }
  }

  @Test
  void valuesThatAreNotFiniteLeaveNoRanking() {
    try (Data data = Data.of(100, 13, Seed.value());
        LinearLabelTree tree = train(data, 13, 2);
        SparseRows x =
            SparseRows.of(List.of(new int[] {3}, new int[] {3}), List.of(nan(), new float[] {1}))) {
      Ranking ranking = tree.topK(x, 3);
      assertFalse(ranking.isDefined(0));
      assertEquals(3, ranking.size(1));
    }
  }

  private static float[] nan() {
    return new float[] {Float.NaN};
  }

  @Test
  void progressAscendsToItsTotal() {
    List<long[]> calls = new ArrayList<>();
    try (Data data = Data.of(100, 37, Seed.value());
        LinearLabelTree tree =
            LinearLabelTree.builder(WORDS, 37)
                .clusterSize(4)
                .progress((done, total) -> calls.add(new long[] {done, total}))
                .train(data.x(), data.targets())) {
      assertTrue(calls.size() >= tree.clusterCount());
      assertEquals(
          calls, calls.stream().sorted(Comparator.comparingLong(call -> call[0])).toList());
      long[] last = calls.get(calls.size() - 1);
      assertEquals(last[1], last[0]);
    }
  }

  @Test
  void whatProgressThrowsEndsTraining() {
    long before = FloatTensor.allocatedBytes();
    try (Data data = Data.of(100, 37, Seed.value())) {
      LinearLabelTreeBuilder builder =
          LinearLabelTree.builder(WORDS, 37)
              .progress(
                  (done, total) -> {
                    throw new IllegalStateException("enough");
                  });
      assertFails(
          IllegalStateException.class, "enough", () -> builder.train(data.x(), data.targets()));
    }
    assertEquals(before, FloatTensor.allocatedBytes());
  }

  private static Labels names(int count) {
    return Labels.of(IntStream.range(0, count).mapToObj(i -> "label" + i).toList());
  }

  @ParameterizedTest
  @EnumSource(ElementType.class)
  void copiesPredictTheSame(ElementType type) {
    try (Data data = Data.of(100, 13, Seed.value());
        LinearLabelTree tree = train(data, 13, 2)) {
      tree.setLabels(names(13));
      if (type == ElementType.INT8 || type.isPacked()) {
        assertThrows(IllegalArgumentException.class, () -> tree.withWeights(type));
        return;
      }
      Ranking wanted = tree.topK(data.x(), 4);
      try (LinearLabelTree narrow = tree.withWeights(type);
          LinearLabelTree copy = narrow.copy()) {
        assertEquals(type, copy.weightType());
        assertEquals("label1", copy.labels().name(1));
        assertSame(narrow.topK(data.x(), 4), copy.topK(data.x(), 4));
        tree.close();
        if (type == ElementType.FLOAT32) {
          assertSame(wanted, copy.topK(data.x(), 4));
        }
        assertThrows(IllegalStateException.class, () -> tree.topK(data.x(), 4));
      }
    }
  }

  @Test
  void metadataAndNamesAreKeptByFiles() throws IOException {
    Path file = folder.resolve("tree");
    try (Data data = Data.of(100, 13, Seed.value());
        LinearLabelTree tree = train(data, 13, 2)) {
      tree.setLabels(names(13));
      tree.save(file, SaveOptions.defaults().withMetadata(Map.of("language", "en")));
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
        try (LinearLabelTree loaded = LinearLabelTree.load(file, options)) {
          assertEquals(Map.of("language", "en"), loaded.metadata());
          assertEquals(tree.labels(), loaded.labels());
          assertEquals(tree.features(), loaded.features());
          assertSame(tree.topK(data.x(), 5), loaded.topK(data.x(), 5));
        }
      }
    }
  }

  // --------------------------------------------------------------------------------- extension

  private static final int OLD_LABELS = 30;
  private static final int ALL_LABELS = 37;

  private static Data grown() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    List<int[]> x = new ArrayList<>();
    List<int[]> targets = new ArrayList<>();
    for (int row = 0; row < 600; row++) {
      int label = random.nextInt(ALL_LABELS);
      boolean isNew = label >= OLD_LABELS;
      x.add(new int[] {label + 4, label % 3, isNew ? ALL_LABELS + 4 + random.nextInt(2) : 3});
      targets.add(new int[] {label});
    }
    return new Data(SparseRows.of(x), SparseRows.of(targets), targets);
  }

  private static int[] rowsOfOldLabels(Data data) {
    return IntStream.range(0, data.labels().size())
        .filter(row -> data.labels().get(row)[0] < OLD_LABELS)
        .toArray();
  }

  private static LinearLabelTree trainOld(Data data) {
    int[] old = rowsOfOldLabels(data);
    try (SparseRows x = data.x().select(old);
        SparseRows targets = data.targets().select(old)) {
      return LinearLabelTree.builder(WORDS, OLD_LABELS).clusterSize(4).train(x, targets);
    }
  }

  private static LinearLabelTree extend(LinearLabelTree tree, Data data) {
    return LinearLabelTree.builder(WORDS, ALL_LABELS).extend(tree, data.x(), data.targets());
  }

  @Test
  void newLabelsAreFoundAndOldOnesStayTheSame() {
    try (Data data = grown();
        LinearLabelTree old = trainOld(data);
        LinearLabelTree tree = extend(old, data)) {
      assertEquals(ALL_LABELS, tree.outputs());
      assertEquals(old.clusterCount(), tree.clusterCount());
      int[] oldLabels = IntStream.range(0, OLD_LABELS).toArray();
      assertSame(
          old.topK(data.x(), OLD_LABELS), tree.topK(data.x(), OLD_LABELS, Filter.only(oldLabels)));
      Ranking ranking = tree.topK(data.x(), 1);
      for (int row = 0; row < ranking.batch(); row++) {
        int label = data.labels().get(row)[0];
        assertTrue(label < OLD_LABELS || ranking.output(row, 0) == label);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void newLabelsMayHaveNewFeatures(boolean tfIdf) throws IOException {
    Path file = folder.resolve("tree");
    List<int[]> before = List.of(new int[] {0, 1}, new int[] {1, 2}, new int[] {0, 2});
    List<int[]> all = new ArrayList<>(before);
    all.addAll(List.of(new int[] {3, 4}, new int[] {4, 1}));
    List<int[]> labels = List.of(new int[] {0}, new int[] {1}, new int[] {0, 1});
    List<int[]> allLabels = new ArrayList<>(labels);
    allLabels.addAll(List.of(new int[] {2}, new int[] {2}));
    LinearLabelTreeBuilder builder = LinearLabelTree.builder(3, 2);
    try (SparseRows x = SparseRows.of(before);
        SparseRows y = SparseRows.of(labels);
        SparseRows moreX = SparseRows.of(all);
        SparseRows moreY = SparseRows.of(allLabels);
        LinearLabelTree old = (tfIdf ? builder.tfIdf() : builder).train(x, y);
        LinearLabelTree tree = LinearLabelTree.builder(5, 3).extend(old, moreX, moreY)) {
      assertEquals(5, tree.features());
      assertSame(old.topK(x, 2), tree.topK(x, 2, Filter.only(0, 1)));
      assertEquals(2, tree.topK(moreX, 1).output(3, 0));
      assertEquals(2, tree.topK(moreX, 1).output(4, 0));
      tree.save(file);
      try (LinearLabelTree loaded = LinearLabelTree.load(file)) {
        assertSame(tree.topK(moreX, 3), loaded.topK(moreX, 3));
      }
    }
  }

  /** A new feature counts as one that occurs in no row; feature 3 is such a feature. */
  @Test
  void newFeaturesCountAsTheRarest() {
    try (SparseRows x = SparseRows.of(List.of(new int[] {0, 1}, new int[] {0, 2}, new int[] {0}));
        SparseRows y = SparseRows.of(List.of(new int[] {0}, new int[] {1}, new int[] {0, 1}));
        LinearLabelTree old = LinearLabelTree.builder(4, 2).tfIdf().train(x, y);
        SparseRows moreX = SparseRows.of(List.of(new int[] {4}));
        SparseRows moreY = SparseRows.of(List.of(new int[] {2}));
        LinearLabelTree tree = LinearLabelTree.builder(6, 3).extend(old, moreX, moreY);
        SparseRows rarest = SparseRows.of(List.of(new int[] {0, 3}, new int[] {1, 1, 3}));
        SparseRows isNew = SparseRows.of(List.of(new int[] {0, 5}, new int[] {1, 1, 5}))) {
      Ranking wanted = old.topK(rarest, 2);
      assertSame(wanted, tree.topK(isNew, 2, Filter.only(0, 1)));
      assertSame(wanted, tree.topK(rarest, 2, Filter.only(0, 1)));
    }
  }

  @Test
  void labelsWithoutRowsGoToClustersWithRoom() {
    try (SparseRows x = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        LinearLabelTree tree = LinearLabelTree.builder(2, 2).train(x, x);
        LinearLabelTree full = LinearLabelTree.builder(2, 256).extend(tree, x, x)) {
      assertArrayEquals(new int[] {0, 1}, tree.topK(x, 2).outputs(0));
      assertEquals(0, full.topK(x, 1).output(0, 0));
      assertFails(
          IllegalArgumentException.class,
          "outputs: expected at most 254 more than the tree has, as its clusters have room for,"
              + " but was 255",
          () -> LinearLabelTree.builder(2, 257).extend(tree, x, x));
    }
  }

  /** New labels with the same rows fill one cluster after the other, within its room. */
  @ParameterizedTest
  @ValueSource(ints = {255, 256, 300, 507, 508})
  void similarNewLabelsFillSeveralClusters(int added) throws IOException {
    Path file = folder.resolve("tree");
    int all = 4 + added;
    List<int[]> x = new ArrayList<>();
    List<int[]> y = new ArrayList<>();
    for (int label = 0; label < all; label++) {
      x.add(new int[] {label < 4 ? label : 4});
      y.add(new int[] {label});
    }
    try (SparseRows rows = SparseRows.of(x.subList(0, 4));
        SparseRows targets = SparseRows.of(y.subList(0, 4));
        SparseRows allRows = SparseRows.of(x);
        SparseRows allTargets = SparseRows.of(y);
        SparseRows one = SparseRows.of(List.of(new int[] {4}));
        LinearLabelTree small = LinearLabelTree.builder(5, 4).clusterSize(2).train(rows, targets);
        LinearLabelTree tree = LinearLabelTree.builder(5, all).extend(small, allRows, allTargets)) {
      assertEquals(2, tree.clusterCount());
      tree.save(file);
      try (LinearLabelTree loaded = LinearLabelTree.load(file)) {
        int[] found = loaded.topK(one, all).outputs(0);
        assertArrayEquals(
            IntStream.range(0, all).toArray(), Arrays.stream(found).sorted().toArray());
      }
    }
  }

  @Test
  void extensionKeepsNamesAndMetadata() throws IOException {
    Path file = folder.resolve("tree");
    try (SparseRows x = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        LinearLabelTree made = LinearLabelTree.builder(2, 2).train(x, x)) {
      made.setLabels(Labels.of("a", "b"));
      try (LinearLabelTree narrow = made.withWeights(ElementType.FLOAT16)) {
        narrow.save(file, SaveOptions.defaults().withMetadata(Map.of("language", "en")));
      }
      Labels more = Labels.of("a", "b", "c");
      try (LinearLabelTree tree = LinearLabelTree.load(file, LoadOptions.mapped());
          LinearLabelTree unnamed = LinearLabelTree.builder(2, 3).extend(tree, x, x);
          LinearLabelTree named = LinearLabelTree.builder(2, 3).labels(more).extend(tree, x, x)) {
        assertEquals(ElementType.FLOAT32, named.weightType());
        assertEquals(Map.of("language", "en"), named.metadata());
        assertEquals("b", unnamed.labels().name(1));
        assertEquals("c", named.labels().name(2));
      }
    }
  }

  /** Counts, and rows weighted by hand, make the same tree and the same rankings. */
  @Test
  void aTreeThatCountsFeatures_weighsThemByTfIdf() throws IOException {
    List<int[]> counts =
        List.of(new int[] {3, 0, 3}, new int[] {1}, new int[] {0, 1}, new int[] {2, 3, 4, 2, 2});
    int[] rowsWith = {2, 2, 1, 2, 1};
    List<int[]> indices = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    for (int[] row : counts) {
      int[] features = Arrays.stream(row).sorted().distinct().toArray();
      double[] ofRow = new double[features.length];
      double squares = 0;
      for (int i = 0; i < features.length; i++) {
        int feature = features[i];
        long count = Arrays.stream(row).filter(other -> other == feature).count();
        ofRow[i] = (1 + Math.log(count)) * (1 + Math.log(5.0 / (1 + rowsWith[feature])));
        squares += ofRow[i] * ofRow[i];
      }
      float[] scaled = new float[features.length];
      for (int i = 0; i < scaled.length; i++) {
        scaled[i] = (float) (ofRow[i] / Math.sqrt(squares));
      }
      indices.add(features);
      values.add(scaled);
    }
    Path file = folder.resolve("tree");
    try (SparseRows x = SparseRows.of(counts);
        SparseRows weighted = SparseRows.of(indices, values);
        SparseRows targets =
            SparseRows.of(List.of(new int[] {0}, new int[] {1}, new int[] {1}, new int[] {2}));
        LinearLabelTree byHand = LinearLabelTree.builder(5, 3).train(weighted, targets);
        LinearLabelTree tree = LinearLabelTree.builder(5, 3).tfIdf().train(x, targets)) {
      assertTrue(tree.countsFeatures() && !byHand.countsFeatures());
      Ranking wanted = byHand.topK(weighted, 3);
      Ranking actual = tree.topK(x, 3);
      for (int row = 0; row < wanted.batch(); row++) {
        assertArrayEquals(wanted.outputs(row), actual.outputs(row));
        assertArrayEquals(wanted.logProbabilities(row), actual.logProbabilities(row), 1e-5f);
      }
      tree.save(file);
      for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copied())) {
        try (LinearLabelTree loaded = LinearLabelTree.load(file, options);
            LinearLabelTree copy = loaded.copy()) {
          assertSame(actual, loaded.topK(x, 3));
          assertSame(actual, copy.topK(x, 3));
        }
      }
      try (LinearLabelTree same = LinearLabelTree.builder(5, 3).extend(tree, x, targets);
          LinearLabelTree larger = LinearLabelTree.builder(5, 4).extend(tree, x, targets)) {
        assertSame(actual, same.topK(x, 3));
        assertTrue(larger.countsFeatures());
      }
      String wrong = "x: expected rows without values";
      assertStartsWith(wrong, () -> tree.topK(weighted, 3));
      LinearLabelTreeBuilder builder = LinearLabelTree.builder(5, 3).tfIdf();
      assertStartsWith(wrong, () -> builder.train(weighted, targets));
    }
  }

  private static void assertStartsWith(String start, Executable call) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.startsWith(start), message);
  }

  @Test
  void aFileHoldsItBesideAnotherLayer() throws IOException {
    Path file = folder.resolve("both");
    try (Data data = Data.of(300, 40, Seed.value());
        LinearLabelTree tree = train(data, 40, 4);
        LabelTree layer = LabelTree.builder(8, 40).labels(names(40)).build();
        EmbeddingBag bag = EmbeddingBag.builder(WORDS, 8).build()) {
      SaveOptions options = SaveOptions.defaults().with(bag);
      for (ElementType type : List.of(ElementType.FLOAT32, ElementType.FLOAT16)) {
        try (LabelTree narrow = layer.withWeights(type);
            LinearLabelTree narrowTree = tree.withWeights(type)) {
          narrow.save(file, options.with(narrowTree));
        }
        assertTrue(LinearLabelTree.isIn(file));
        try (LabelTree other = LabelTree.load(file, LoadOptions.mapped());
            LinearLabelTree loaded = LinearLabelTree.load(file, LoadOptions.mapped())) {
          assertEquals(type, other.weightType());
          assertEquals("label7", loaded.labels().name(7));
          assertEquals(type, loaded.weightType());
          try (LinearLabelTree half = tree.withWeights(loaded.weightType())) {
            assertSame(half.topK(data.x(), 5), loaded.topK(data.x(), 5));
          }
          assertTrue(loaded.memoryUse().mappedBytes() > 0);
        }
      }
      layer.save(file);
      assertFalse(LinearLabelTree.isIn(file));
      FileFormatException e =
          assertThrows(FileFormatException.class, () -> LinearLabelTree.load(file));
      assertTrue(e.getMessage().contains("is of a LabelTree"), e.getMessage());
      assertStartsWith("options: expected no part, ", () -> bag.save(file, options.with(tree)));
      assertStartsWith("options: expected no part, ", () -> tree.save(file, options));
    }
  }

  @Test
  void rankingsOfOthers_areMeasured() {
    Ranking ranking = Ranking.of(new int[][] {{2, 0}, {1}}, new float[][] {{-0.5f, -1}, {-0.25f}});
    assertEquals(2, ranking.output(0, 0));
    assertEquals(-0.25f, ranking.logProbability(1, 0));
    Metrics metrics = Metrics.upTo(1);
    try (SparseRows labels = SparseRows.of(List.of(new int[] {2}, new int[] {0}))) {
      metrics.add(ranking, labels);
    }
    assertEquals(0.5, metrics.precision(1));
    assertStartsWith(
        "logProbabilities[1]", () -> Ranking.of(new int[][] {{2}, {1}}, new float[][] {{-1}, {}}));
  }
}
