// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Similarity;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.search.LogisticRegression;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.DenseHead;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.linear.Term;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Mixtures on every kind of kernels, compared with sums over all outputs. */
@Tag("xcheck")
final class MixtureTest {
  private static final int FEATURES = 23;
  private static final int ROWS = 11;

  @TempDir Path folder;

  /** The scorers that a mixture may have, over the same outputs, and their scores. */
  private static final class Scorers implements AutoCloseable {
    final int outputs;
    final EmbeddingBag bag;
    final TwoLevelLayer<?> layer;
    final LinearLabelTree tree;
    final SparseWeights one;
    final SparseWeights other;
    final FloatTensor rowsOfHead;
    final DenseHead head;
    final SparseRows x;
    final SparseRows y;

    Scorers(int outputs, boolean isLabelTree, Workers workers, SplittableRandom random) {
      this.outputs = outputs;
      bag = EmbeddingBag.builder(FEATURES, 5).workers(workers).seed(random.nextLong()).build();
      int[] classOf = new int[outputs];
      int classes = Math.max(1, outputs / 7);
      for (int output = 0; output < outputs; output++) {
        classOf[output] = output < classes ? output : random.nextInt(classes);
      }
      ClassAssignment assignment = ClassAssignment.of(classOf);
      layer =
          isLabelTree
              ? LabelTree.builder(5, outputs).classes(assignment).workers(workers).build()
              : HierarchicalSoftmax.builder(5, outputs)
                  .classes(assignment)
                  .workers(workers)
                  .seed(random.nextLong())
                  .build();
      randomize(bag.table(), 2, random);
      randomize(layer.W1(), 1, random);
      randomize(layer.b2(), 1, random);
      try (SparseRows rows = rows(60, random, 4);
          SparseRows targets = lists(60, outputs, 3, random)) {
        tree =
            LinearLabelTree.builder(FEATURES, outputs)
                .clusterSize(4)
                .workers(workers)
                .train(rows, targets);
      }
      one = weights(outputs, random, workers);
      other = weights(Math.max(1, outputs - 3), random, workers);
      rowsOfHead = FloatTensor.zeros(outputs, 5);
      randomize(rowsOfHead, 1, random);
      head = DenseHead.of(rowsOfHead, null, Similarity.INNER_PRODUCT, workers);
      x = rows(ROWS, random, 6);
      y = rows(ROWS, random, 2);
    }

    private static void randomize(FloatTensor tensor, double scale, SplittableRandom random) {
      float[] values = new float[Math.toIntExact(tensor.shape().size())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (scale * (random.nextDouble() + random.nextDouble() - 1));
      }
      tensor.put(0, values, 0, values.length);
    }

    private static SparseRows lists(int rows, int bound, int most, SplittableRandom random) {
      List<int[]> lists = new ArrayList<>();
      for (int row = 0; row < rows; row++) {
        lists.add(random.ints(random.nextInt(most + 1), 0, bound).toArray());
      }
      return SparseRows.of(lists);
    }

    private static SparseRows rows(int rows, SplittableRandom random, int most) {
      return lists(rows, FEATURES, most, random);
    }

    private static SparseWeights weights(int outputs, SplittableRandom random, Workers workers) {
      List<int[]> indices = new ArrayList<>();
      List<float[]> values = new ArrayList<>();
      for (int feature = 0; feature < FEATURES; feature++) {
        int[] list = random.ints(random.nextInt(6), 0, outputs).toArray();
        float[] ofList = new float[list.length];
        for (int i = 0; i < list.length; i++) {
          ofList[i] = random.nextInt(-2, 5);
        }
        indices.add(list);
        values.add(ofList);
      }
      try (SparseRows rows = SparseRows.of(indices, values)) {
        return SparseWeights.of(rows, outputs, workers);
      }
    }

    float[][] ofLayer() {
      try (FloatTensor vectors = bag.apply(x);
          FloatTensor all = layer.logProbabilities(vectors)) {
        float[] flat = all.toArray();
        float[][] byRow = new float[ROWS][];
        for (int row = 0; row < ROWS; row++) {
          byRow[row] = Arrays.copyOfRange(flat, row * outputs, (row + 1) * outputs);
        }
        return byRow;
      }
    }

    float[][] ofHead() {
      try (FloatTensor vectors = bag.apply(x)) {
        return all(head.topK(vectors, outputs));
      }
    }

    float[][] all(Ranking ranking) {
      float[][] byRow = new float[ROWS][outputs];
      for (int row = 0; row < ROWS; row++) {
        for (int rank = 0; rank < ranking.size(row); rank++) {
          byRow[row][ranking.output(row, rank)] = ranking.score(row, rank);
        }
      }
      return byRow;
    }

    @Override
    public void close() {
      Stream.of(bag, layer, tree, one, other, head, rowsOfHead, x, y).forEach(Scorers::close);
    }

    private static void close(AutoCloseable each) {
      try {
        each.close();
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }
  }

  static Stream<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets().stream();
  }

  private static double scaled(float score, boolean isProbability) {
    return isProbability ? Math.exp(score) : score;
  }

  private static void assertRow(
      Ranking ranking, int row, float[] totals, IntPredicate allowed, int k) {
    int[] wanted =
        IntStream.range(0, totals.length)
            .filter(allowed)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer output) -> -totals[output]))
            .mapToInt(Integer::intValue)
            .limit(k)
            .toArray();
    assertArrayEquals(wanted, ranking.outputs(row), () -> Arrays.toString(totals));
    for (int rank = 0; rank < wanted.length; rank++) {
      assertEquals(totals[wanted[rank]], ranking.score(row, rank));
    }
  }

  /** All kinds of sums: with and without each scorer, of logarithms and of probabilities. */
  @ParameterizedTest
  @MethodSource("kernels")
  void rankingsAreThoseOfAllSums(KernelsUnderTest kernels) {
    SplittableRandom random = new SplittableRandom(Seed.value());
    for (int outputs : new int[] {1, 2, 31, 300}) {
      boolean isLabelTree = random.nextBoolean();
      try (Scorers all = new Scorers(outputs, isLabelTree, kernels.workers(), random)) {
        float[][] ofLayer = all.ofLayer();
        float[][] ofTree = all.all(all.tree.topK(all.x, outputs));
        float[][] ofOne = all.all(all.one.topK(all.x, outputs));
        float[][] ofOther = all.all(all.other.topK(all.y, outputs));
        float[][] ofHead = all.ofHead();
        for (int uses = 0; uses < 32; uses++) {
          MixtureBuilder builder = Mixture.builder();
          float[] w = new float[5];
          for (int i = 0; i < 5; i++) {
            w[i] = (uses >> i & 1) == 0 ? 0 : random.nextInt(1, 9) / 4f;
          }
          if (uses == 0) {
            w[0] = 2;
          }
          boolean isProbability = random.nextInt(3) == 0;
          builder
              .layer("embedding", all.bag, all.layer)
              .tree("tree", all.tree)
              .weights("one", all.one)
              .weights("other", all.other)
              .head("head", all.bag, all.head);
          Mixture mixture =
              (isProbability ? builder.addProbabilities() : builder).build().withWeights(w);
          List<SparseRows> x = List.of(all.x, all.x, all.x, all.y, all.x);
          int k = random.nextInt(1, 9);
          try (SparseRows lists = Scorers.lists(ROWS, outputs, outputs, random)) {
            Ranking best = mixture.topK(x, k);
            Ranking only = mixture.topK(x, k, Filter.only(lists));
            Ranking without = mixture.topK(x, k, Filter.without(lists).and(Filter.without(0)));
            boolean isSparse = w[0] == 0 && w[1] == 0 && w[4] == 0;
            for (int row = 0; row < ROWS; row++) {
              float[] totals = new float[outputs];
              for (int output = 0; output < outputs; output++) {
                double sum = 0;
                sum += w[2] == 0 ? 0 : (double) w[2] * ofOne[row][output];
                sum += w[3] == 0 ? 0 : (double) w[3] * ofOther[row][output];
                double tree = w[1] == 0 ? 0 : w[1] * scaled(ofTree[row][output], isProbability);
                double layer = w[0] == 0 ? 0 : w[0] * scaled(ofLayer[row][output], isProbability);
                double head = w[4] == 0 ? 0 : (double) w[4] * ofHead[row][output];
                totals[output] =
                    (float)
                        (w[0] > 0
                            ? layer + ((sum + tree) + head)
                            : w[1] > 0 ? tree + (sum + head) : head + sum);
              }
              IntPredicate isScored = output -> !isSparse || totals[output] != 0;
              int[] list = lists.indices(row);
              IntPredicate isListed = output -> IntStream.of(list).anyMatch(i -> i == output);
              assertRow(best, row, totals, isScored, k);
              assertRow(only, row, totals, isListed.and(isScored), k);
              IntPredicate others = isListed.negate().and(output -> output > 0).and(isScored);
              assertRow(without, row, totals, others, k);
            }
          }
        }
      }
    }
  }

  @Test
  void sumsOfHeadsReadFewOfTheirRows() {
    try (Scorers all = new Scorers(3_000, false, Workers.common(), new SplittableRandom(6))) {
      Mixture mixture =
          Mixture.builder()
              .head("head", all.bag, all.head)
              .weights("one", all.one)
              .build()
              .withWeights(4, 1);
      mixture.topK(List.of(all.x), 3);
      DenseHead.Reads reads = all.head.reads();
      assertEquals(3_000 * ROWS, reads.screened());
      // Rows of x without features have equal scores, all of which are read.
      assertTrue(reads.scored() < 3_000 * ROWS / 2, reads::toString);
      UnsupportedOperationException e =
          assertThrows(
              UnsupportedOperationException.class, () -> mixture.save(folder.resolve("head")));
      assertTrue(e.getMessage().contains("DenseHead"), e::getMessage);
      assertTrue(Files.notExists(folder.resolve("head")));
      try (EmbeddingBag others = EmbeddingBag.builder(FEATURES, 4).build()) {
        assertThrows(
            IllegalArgumentException.class, () -> Mixture.builder().head("head", others, all.head));
      }
    }
  }

  @Test
  void sharesOfHeadsAreChangesOfTheirScores() {
    try (Scorers all = new Scorers(40, false, Workers.common(), new SplittableRandom(7));
        SparseRows row = SparseRows.of(List.of(new int[] {3, 7, 11}))) {
      Mixture mixture = Mixture.builder().head("head", all.bag, all.head).build();
      Ranking best = mixture.topK(List.of(row), 1);
      int output = best.output(0, 0);
      Share share = mixture.explain(List.of(row), output).get(0);
      assertEquals(best.score(0, 0), share.score());
      assertEquals(0, share.constant());
      assertEquals(3, share.terms().size());
      for (Term term : share.terms()) {
        int[] rest = IntStream.of(3, 7, 11).filter(f -> f != term.feature()).toArray();
        try (SparseRows others = SparseRows.of(List.of(rest))) {
          float score = mixture.topK(List.of(others), 1, Filter.only(output)).score(0, 0);
          assertEquals(share.score() - score, term.weight(), 1e-5);
        }
      }
    }
  }

  /** A head that ranks the right outputs first, beside weights that say nothing of them. */
  @Test
  void aFitTakesTheHeadThatIsRight() {
    int outputs = 40;
    try (Scorers all = new Scorers(outputs, false, Workers.common(), new SplittableRandom(8));
        FloatTensor vectors = all.bag.apply(all.x)) {
      Ranking right = all.head.topK(vectors, 2);
      float[][] ofHead = all.ofHead();
      float[][] ofOne = all.all(all.one.topK(all.x, outputs));
      List<SparseRows> x = List.of(all.x);
      try (SparseRows targets =
          SparseRows.of(IntStream.range(0, ROWS).mapToObj(right::outputs).toList())) {
        Mixture fitted =
            Mixture.builder()
                .weights("one", all.one)
                .head("head", all.bag, all.head)
                .build()
                .fit(x, targets);
        float[] w = fitted.weights();
        assertTrue(w[1] > w[0], () -> Arrays.toString(w));
        Ranking sums = fitted.withWeights(w).topK(x, outputs);
        Ranking best = fitted.topK(x, outputs);
        for (int row = 0; row < ROWS; row++) {
          float[] totals = new float[outputs];
          for (int output = 0; output < outputs; output++) {
            double one = w[0] == 0 ? 0 : (double) w[0] * ofOne[row][output];
            totals[output] = (float) ((double) w[1] * ofHead[row][output] + one);
          }
          assertRow(sums, row, totals, output -> true, outputs);
          assertArrayEquals(sums.outputs(row), best.outputs(row));
          double ofRight = 0;
          for (int rank = 0; rank < outputs; rank++) {
            int output = best.output(row, rank);
            boolean isRight = IntStream.of(targets.indices(row)).anyMatch(i -> i == output);
            ofRight += isRight ? best.probability(row, rank) : 0;
          }
          assertTrue(ofRight / 2 > 2.0 / outputs, "more probable than an output at random");
        }
      }
    }
  }

  @Test
  void searchesOpenFewerClassesThanThereAre() {
    try (Scorers all = new Scorers(300, false, Workers.common(), new SplittableRandom(5))) {
      Mixture mixture =
          Mixture.builder()
              .layer("embedding", all.bag, all.layer)
              .weights("one", all.one)
              .build()
              .withWeights(4, 8);
      Ranking best = mixture.topK(List.of(all.x), 3);
      int opened = IntStream.range(0, ROWS).map(best::openedClasses).sum();
      assertTrue(opened < ROWS * all.layer.assignment().classCount() * 3 / 4, () -> "" + opened);
    }
  }

  @Test
  void calibratedMixturesHaveProbabilities() {
    try (Scorers all = new Scorers(31, true, Workers.common(), new SplittableRandom(7));
        SparseRows targets = best(all, 5)) {
      Mixture mixture =
          Mixture.builder()
              .layer("embedding", all.bag, all.layer)
              .tree("tree", all.tree)
              .weights("one", all.one)
              .build()
              .fit(List.of(all.x), targets);
      List<SparseRows> x = List.of(all.x);
      Ranking best = mixture.topK(x, 31);
      Ranking first = mixture.topK(x, 1);
      Ranking last = mixture.topK(x, 31, Filter.without(best.output(0, 0)));
      assertEquals(best.logProbability(0, 0), first.logProbability(0, 0));
      for (int rank = 1; rank < 31; rank++) {
        assertEquals(best.logProbability(0, rank), last.logProbability(0, rank - 1));
      }
      float[] weights = mixture.weights();
      ScoreCalibration calibration = mixture.calibration().orElseThrow();
      Mixture again = mixture.withWeights(1, 2, 3).withWeights(weights, calibration);
      assertArrayEquals(best.logProbabilities(0), again.topK(x, 31).logProbabilities(0));
      Ranking sums = mixture.withWeights(mixture.weights()).topK(x, 31);
      for (double probability : new double[] {0.05, 0.2, 0.4, 0.9, 1}) {
        Ranking likely = mixture.atLeast(x, probability, Filter.without(3));
        for (int row = 0; row < ROWS; row++) {
          assertArrayEquals(sums.outputs(row), best.outputs(row));
          int r = row;
          int[] wanted =
              IntStream.range(0, 31)
                  .filter(rank -> best.output(r, rank) != 3)
                  .filter(rank -> best.logProbability(r, rank) >= (float) Math.log(probability))
                  .map(rank -> best.output(r, rank))
                  .toArray();
          assertArrayEquals(wanted, likely.outputs(row));
          for (int rank = 1; rank < 31; rank++) {
            assertTrue(best.logProbability(row, rank) <= best.logProbability(row, rank - 1));
          }
        }
      }
      assertThrows(
          IllegalStateException.class,
          () -> mixture.withWeights(1, 1, 1).atLeast(x, 0.5, Filter.without()));
    }
  }

  /** Returns the best outputs of the layer and the tree, so that both have a weight in a fit. */
  private static SparseRows best(Scorers all, int k) {
    Ranking best =
        Mixture.builder()
            .layer("embedding", all.bag, all.layer)
            .tree("tree", all.tree)
            .build()
            .topK(List.of(all.x), k);
    return SparseRows.of(IntStream.range(0, ROWS).mapToObj(best::outputs).toList());
  }

  private static double odds(double logProbability) {
    return logProbability - Math.log(-Math.expm1(logProbability));
  }

  @Test
  void probabilitiesOfKnotsAscendWithScores() {
    SplittableRandom random = new SplittableRandom(1);
    LogisticRegression samples = new LogisticRegression(2);
    for (int s = 0; s < 5000; s++) {
      double[] scores = {-5 * random.nextDouble(), -5 * random.nextDouble()};
      double odds = 1 + 2 * scores[0] + scores[1];
      samples.add(scores, 0, random.nextDouble() < 1 / (1 + Math.exp(-odds)));
    }
    double[] found = samples.fit(new double[] {0.5, 0.5, 0}, new boolean[] {true, true});
    assertArrayEquals(new double[] {2, 1, 1}, found, 0.3);
    double[] sums = new double[5000];
    boolean[] right = new boolean[5000];
    for (int s = 0; s < 5000; s++) {
      sums[s] = samples.sum(s, new double[] {2, 1});
      right[s] = samples.isRight(s);
    }
    ScoreCalibration calibration = ScoreCalibration.fit(sums, right, 1, 1);
    float before = Float.NEGATIVE_INFINITY;
    for (double score = -20; score <= 0; score += 0.01) {
      float now = calibration.logProbability(score);
      assertTrue(now >= before);
      assertTrue(calibration.leastScore(odds(now)) <= score + 1e-6);
      before = now;
    }
    assertTrue(calibration.leastScore(odds(Math.log(0.999999))) > 0);
  }

  /** Otherwise their knot would contain right samples of the frequent ones as well. */
  @Test
  void probabilitiesOfSumsOfProbabilitiesFallToZeroWithThem() {
    float[] scores = {0.25f, 0.5f};
    ScoreCalibration knots = ScoreCalibration.of(scores, new float[] {-5, -1});
    ScoreCalibration falling = knots.fallingToZero();
    assertEquals(knots.logProbability(0.3), falling.logProbability(0.3));
    for (double part = 1; part > 1e-6; part /= 2) {
      double odds = Math.exp(-5) * part;
      assertEquals(Math.log(odds / (1 + odds)), falling.logProbability(0.25 * part), 1e-5);
    }
    assertTrue(falling.logProbability(0) < -20, "nothing speaks for the output");
    ScoreCalibration ofLogarithms = ScoreCalibration.of(new float[] {-3, 0}, new float[] {-2, 1});
    assertSame(ofLogarithms, ofLogarithms.fallingToZero());
  }

  @Test
  void rareOutputsHaveKnotsOfTheirOwn() {
    double[] sums = new double[12_000];
    boolean[] right = new boolean[12_000];
    for (int s = 0; s < 12_000; s++) {
      sums[s] = s < 10_000 ? -6 : 0;
      right[s] = s % (s < 10_000 ? 500 : 2) == 1;
    }
    ScoreCalibration calibration = ScoreCalibration.fit(sums, right, 0, 1);
    assertEquals(0.002, Math.exp(calibration.logProbability(-6)), 0.0001);
  }

  /** If two outputs compete, each is right less often than an output that is far ahead. */
  @Test
  void probabilitiesOfARowDependOnItsFirstTwo() {
    SplittableRandom random = new SplittableRandom(1);
    int rows = 4000;
    double[][] logProbabilities = new double[rows][2];
    boolean[][] right = new boolean[rows][2];
    for (int row = 0; row < rows; row++) {
      double first = 4 * random.nextDouble() - 2;
      double second = first - 3 * random.nextDouble();
      logProbabilities[row][1] = -Math.log1p(Math.exp(-first));
      logProbabilities[row][0] = -Math.log1p(Math.exp(-second));
      for (int i = 0; i < 2; i++) {
        double odds = 1.5 * (i == 1 ? first : second) + 0.5 * first - second + 0.3;
        right[row][i] = random.nextDouble() < 1 / (1 + Math.exp(-odds));
      }
    }
    TopTwoCalibration fitted =
        TopTwoCalibration.fitOrNull(logProbabilities, new double[rows][0], right);
    assertEquals(1.5, fitted.slope(), 0.15);
    assertEquals(0.5, fitted.first(), 0.15);
    assertEquals(-1, fitted.second(), 0.15);
    assertEquals(0.3, fitted.intercept(), 0.15);
    assertEquals(fitted, TopTwoCalibration.decode(fitted.encoded()));
    double offset = fitted.offset(new double[] {-0.1, -2}, new double[0]);
    assertEquals(offset, fitted.offset(new double[] {-2, -5}, new double[] {-0.1, -9}));
    double before = Double.POSITIVE_INFINITY;
    for (double logProbability = 0; logProbability > -60; logProbability -= 0.01) {
      double now = fitted.logOdds(logProbability, offset);
      assertTrue(now <= before);
      assertTrue(fitted.least(now, offset) <= odds(logProbability) + 1e-6);
      before = now;
    }
    assertEquals(Double.NEGATIVE_INFINITY, fitted.logOdds(Float.NEGATIVE_INFINITY, offset));
    assertEquals(null, fitOfNothing());
  }

  private static TopTwoCalibration fitOfNothing() {
    return TopTwoCalibration.fitOrNull(new double[1][0], new double[1][0], new boolean[1][0]);
  }

  /** All of them have score 0: they compete with the found outputs, in the fit and later. */
  @Test
  void outputsThatAreLeftOutCompete() {
    List<int[]> rows = new ArrayList<>();
    List<int[]> targets = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(1);
    int rights = 0;
    for (int row = 0; row < 4000; row++) {
      boolean competes = row % 2 == 1;
      boolean isRight = random.nextInt(100) < (competes ? 45 : 90);
      rights += isRight && !competes ? 1 : 0;
      rows.add(new int[] {row % 2});
      values.add(new float[] {0.5f + random.nextInt(1000) / 1000f});
      targets.add(new int[] {isRight ? 0 : competes && random.nextInt(100) < 80 ? 1 : 4});
    }
    try (SparseRows x = SparseRows.of(rows, values);
        SparseRows right = SparseRows.of(targets);
        SparseWeights one = two(new int[] {0}, new int[] {0, 1}, 2, 2);
        SparseWeights other = two(new int[] {2, 3}, new int[] {2, 3}, 3, 2)) {
      Mixture both = Mixture.builder().weights("a", one).weights("b", other).build();
      Ranking ranking = both.fit(List.of(x), right).topK(List.of(x), 3);
      double mean = 0;
      for (int row = 0; row < 4000; row += 2) {
        assertEquals(0, ranking.output(row, 0));
        mean += ranking.probability(row, 0) / 2000;
      }
      assertEquals(rights / 2000.0, mean, 0.03);
    }
  }

  private static SparseWeights two(int[] first, int[] second, float... values) {
    List<float[]> of = new ArrayList<>();
    of.add(Arrays.copyOf(values, first.length));
    of.add(Arrays.copyOf(values, second.length));
    try (SparseRows rows = SparseRows.of(List.of(first, second), of)) {
      return SparseWeights.of(rows, 5);
    }
  }

  /** Their log odds by the knots are below those of any probability. */
  @Test
  void atLeastFindsWhatIsRanked() {
    try (SparseRows x = SparseRows.of(List.of(new int[] {0}));
        SparseRows scores =
            SparseRows.of(List.of(new int[] {0, 1, 2}), List.of(new float[] {-2, -1000, -1200}));
        SparseWeights weights = SparseWeights.of(scores, 3)) {
      float[] zero = {0};
      ScoreCalibration knots = ScoreCalibration.of(zero, zero);
      Mixture mixture = Mixture.builder().weights("w", weights).build();
      for (ScoreCalibration by :
          List.of(knots.withTopTwo(0.01, 0, 0, 0), knots.withTopTwo(1, 0, 0, 900))) {
        Mixture calibrated = mixture.withWeights(new float[] {1}, by);
        Ranking all = calibrated.topK(List.of(x), 3);
        double least = all.probability(0, 1) / 2;
        int[] likely = calibrated.atLeast(List.of(x), least, Filter.without()).outputs(0);
        assertArrayEquals(new int[] {0, 1}, Arrays.copyOf(likely, 2));
        double highest = all.probability(0, 0);
        int certain = calibrated.atLeast(List.of(x), 1, Filter.without()).size(0);
        assertEquals(highest < 1 ? 0 : 1, certain, "of " + highest);
      }
    }
  }

  /** The sums are clipped: knots hold no higher ones. */
  @Test
  void fitHoldsAnySums() {
    List<int[]> targets = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(1);
    for (int row = 0; row < 60_000; row++) {
      boolean isUp = row % 2 == 1;
      boolean isLarge = row % 10 == 0;
      boolean isRight = isLarge || random.nextInt(100) < (isUp ? 95 : 5);
      values.add(new float[] {isLarge ? 20_000 : isUp ? 0.02f : -0.02f});
      targets.add(isRight ? new int[] {0} : new int[0]);
    }
    try (SparseRows weights = SparseRows.of(List.of(new int[] {0}));
        SparseWeights one = SparseWeights.of(weights, 1);
        SparseRows right = SparseRows.of(targets);
        SparseRows x = SparseRows.of(Collections.nCopies(60_000, new int[] {0}), values)) {
      Mixture fitted = Mixture.builder().weights("one", one).build().fit(List.of(x), right);
      assertTrue(fitted.topK(List.of(x), 1).probability(0, 0) > 0.9, fitted::toString);
    }
  }

  /** Examples with integer features, so that all sums are exact, and with up to 3 outputs each. */
  private record Examples(int[][] features, int[][] outputsOf) {
    static Examples random(int count, int outputs, SplittableRandom random) {
      int[][] features = new int[count][FEATURES];
      int[][] outputsOf = new int[count][];
      for (int example = 0; example < count; example++) {
        for (int i = 0; i < 4; i++) {
          features[example][random.nextInt(FEATURES)] = random.nextInt(-2, 5);
        }
        outputsOf[example] = random.ints(random.nextInt(4), 0, outputs).toArray();
      }
      return new Examples(features, outputsOf);
    }

    void addTo(MixtureBuilder builder, String name, int outputs, int k, Workers workers) {
      int[] all = IntStream.range(0, FEATURES).toArray();
      List<float[]> values = new ArrayList<>();
      for (int[] example : features) {
        float[] ofExample = new float[FEATURES];
        for (int feature = 0; feature < FEATURES; feature++) {
          ofExample[feature] = example[feature];
        }
        values.add(ofExample);
      }
      try (SparseRows rows = SparseRows.of(Collections.nCopies(features.length, all), values);
          SparseRows targets = SparseRows.of(Arrays.asList(outputsOf))) {
        builder.nearest(
            name,
            new NearestExamples(
                SparseWeights.ofRows(rows, FEATURES, workers),
                SparseWeights.of(targets, outputs, workers),
                k));
      }
    }

    /** Returns the scores of all outputs by the k best examples, with a loop over all. */
    float[] scores(int[] row, int k, int all) {
      int[] scores = new int[features.length];
      Arrays.setAll(scores, e -> IntStream.of(row).map(feature -> features[e][feature]).sum());
      float[] sums = new float[all];
      IntStream.range(0, scores.length)
          .filter(example -> scores[example] != 0)
          .boxed()
          .sorted(Comparator.comparingInt((Integer example) -> -scores[example]))
          .limit(k)
          .forEach(
              example ->
                  IntStream.of(outputsOf[example])
                      .forEach(o -> sums[o] += scores[example] * Math.abs(scores[example])));
      return sums;
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void nearestExamplesScoreTheirOutputs(KernelsUnderTest kernels) throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    Path file = folder.resolve("nearest");
    for (int outputs : new int[] {1, 31, 300}) {
      for (int k : new int[] {1, 5, 1000}) {
        Examples examples = Examples.random(random.nextInt(1, 400), outputs, random);
        MixtureBuilder alone = Mixture.builder();
        examples.addTo(alone, "n", outputs, k, kernels.workers());
        try (Scorers all = new Scorers(outputs, false, kernels.workers(), random);
            Mixture sparse = alone.build()) {
          float[][] ofLayer = all.ofLayer();
          MixtureBuilder beside = Mixture.builder().layer("a", all.bag, all.layer);
          examples.addTo(beside, "n", outputs, k, kernels.workers());
          Mixture both = beside.build().withWeights(0.5f, 0.25f);
          both.save(file);
          LoadOptions options = LoadOptions.mapped().withWorkers(kernels.workers());
          try (Mixture loaded = Mixture.load(file, options)) {
            List<SparseRows> x = List.of(all.x);
            Ranking ofSparse = sparse.topK(x, 7);
            Ranking ofBoth = both.topK(x, 7);
            Ranking ofLoaded = loaded.topK(x, 7);
            for (int row = 0; row < ROWS; row++) {
              float[] nearest = examples.scores(all.x.indices(row), k, outputs);
              assertRow(ofSparse, row, nearest, output -> nearest[output] != 0, 7);
              float[] totals = new float[outputs];
              for (int output = 0; output < outputs; output++) {
                totals[output] = (float) (0.5 * ofLayer[row][output] + 0.25 * nearest[output]);
              }
              assertRow(ofBoth, row, totals, output -> true, 7);
              assertRow(ofLoaded, row, totals, output -> true, 7);
              try (SparseRows one = all.x.slice(row, row + 1)) {
                int best = ofBoth.output(row, 0);
                Share share = loaded.explain(List.of(one), best).get(1);
                assertEquals(nearest[best], share.score());
                assertEquals(0.25 * nearest[best], share.contribution());
              }
            }
          }
        }
      }
    }
  }

  /**
   * They have no nearest examples, whatever outputs a filter leaves; and no memory is held for
   * them.
   */
  @Test
  void rowsWithNaNHaveNoNearestExamples() {
    try (SparseRows rows =
            SparseRows.of(
                List.of(new int[] {0}, new int[] {0}),
                List.of(new float[] {Float.NaN}, new float[] {1}));
        SparseWeights examples = two(new int[] {0, 1, 2}, new int[] {3}, 1, 1, 1);
        SparseWeights labels = of(5, 7, new int[0], new int[] {2}, new int[] {4}, new int[] {1});
        SparseRows wrong = SparseRows.of(List.of(new int[] {2}));
        SparseRows right = SparseRows.of(List.of(new int[] {1}))) {
      NearestExamples nearest = new NearestExamples(examples, labels, 3);
      BitSet undefined = new BitSet();
      try (SparseRows found = nearest.rows(rows, "x", undefined)) {
        assertEquals(BitSet.valueOf(new long[] {1}), undefined);
        assertEquals(0, found.indices(0).length);
      }
      try (SparseRows fine = rows.slice(1, 2);
          SparseRows found = nearest.rows(fine, "x", undefined)) {
        assertEquals(1, found.rows());
        assertTrue(undefined.get(0), "what another scorer has found stays");
      }
      Mixture mixture = Mixture.builder().weights("a", examples).nearest("n", nearest).build();
      for (Filter filter : List.of(Filter.without(), Filter.without(2, 4), Filter.only(3))) {
        Ranking ranking = mixture.withWeights(0, 1).topK(List.of(rows), 3, filter);
        assertFalse(ranking.isDefined(0));
        assertTrue(ranking.isDefined(1));
      }
      try (SparseRows nan = rows.slice(0, 1)) {
        assertThrows(IllegalArgumentException.class, () -> mixture.explain(List.of(right, nan), 2));
        assertThrows(IllegalArgumentException.class, () -> mixture.fit(List.of(right, nan), right));
      }
      String message =
          assertThrows(
                  IndexOutOfBoundsException.class, () -> mixture.topK(List.of(right, wrong), 1))
              .getMessage();
      assertTrue(message.startsWith("x[1]"), message);
    }
  }

  private static SparseWeights of(int features, int outputs, int[]... first) {
    List<int[]> lists = new ArrayList<>(Arrays.asList(first));
    while (lists.size() < features) {
      lists.add(new int[0]);
    }
    try (SparseRows rows = SparseRows.of(lists)) {
      return SparseWeights.of(rows, outputs);
    }
  }

  @Test
  void examplesThatCountFeaturesAreNoOutputs() throws IOException {
    Path file = folder.resolve("counts");
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        SparseWeights counts = SparseWeights.ofRows(rows, 2);
        SparseWeights labels = SparseWeights.of(rows, 2)) {
      assertThrows(IllegalArgumentException.class, () -> new NearestExamples(counts, counts, 1));
      NearestExamples nearest = new NearestExamples(counts, labels, 1);
      Mixture.builder().weights("a", counts).nearest("b", nearest).build().save(file);
    }
    String swapped =
        new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1)
            .replace("\"sparse.a.", "\"sparse.?.")
            .replace("\"sparse.b.", "\"sparse.a.")
            .replace("\"sparse.?.", "\"sparse.b.");
    assertEquals("sparse.b.tfidf", refused(swapped.getBytes(StandardCharsets.ISO_8859_1)).part());
  }

  @Test
  void wrongNearestExamplesAreRefused() throws IOException {
    Path file = folder.resolve("nearest");
    SplittableRandom random = new SplittableRandom(5);
    MixtureBuilder builder = Mixture.builder();
    Examples.random(9, 4, random).addTo(builder, "a", 4, 3, Workers.common());
    Examples.random(8, 4, random).addTo(builder, "b", 4, 3, Workers.common());
    try (Mixture mixture = builder.build()) {
      mixture.save(file);
    }
    String text = new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1);
    for (String[] change :
        new String[][] {
          {"nearest:3:a", "nearest:0:a", "__metadata__"},
          {"nearest:3:a", "nearest:x:a", "__metadata__"},
          {"nearest:3:a", "nearest:33a", "__metadata__"},
          {"\"examples.a.", "\"examplez.a.", "examples.a.weights"},
          {"nearest:3:a nearest:3:b", "nearest:3:b nearest:3:c", "sparse.c.weights"}
        }) {
      assertTrue(text.contains(change[0]), text);
      byte[] changed = text.replace(change[0], change[1]).getBytes(StandardCharsets.ISO_8859_1);
      assertEquals(change[2], refused(changed).part());
    }
    String swapped =
        text.replace("\"examples.a.", "\"examples.?.")
            .replace("\"examples.b.", "\"examples.a.")
            .replace("\"examples.?.", "\"examples.b.");
    assertEquals(
        "examples.a.biases", refused(swapped.getBytes(StandardCharsets.ISO_8859_1)).part());
  }

  /** A scorer that knows the answer gets all the weight, at any scale of its scores. */
  @Test
  void fitFindsTheScorerThatIsRight() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    int outputs = 40;
    List<int[]> identity = new ArrayList<>();
    List<float[]> of = new ArrayList<>();
    List<int[]> noise = new ArrayList<>();
    for (int feature = 0; feature < outputs; feature++) {
      identity.add(new int[] {feature, (feature + 7) % outputs});
      of.add(new float[] {0.02f, 0.01f});
      noise.add(random.ints(9, 0, outputs).toArray());
    }
    int[] order = random.ints(600, 0, outputs).toArray();
    List<int[]> rows = IntStream.of(order).mapToObj(i -> new int[] {i}).toList();
    try (SparseRows right = SparseRows.of(identity, of);
        SparseRows wrong = SparseRows.of(noise);
        SparseRows x = SparseRows.of(rows);
        SparseWeights one = SparseWeights.of(right, outputs);
        SparseWeights other = SparseWeights.of(wrong, outputs)) {
      Mixture mixture = Mixture.builder().weights("wrong", other).weights("right", one).build();
      Mixture fitted = mixture.fit(List.of(x), x);
      Ranking ranking = fitted.topK(List.of(x), 1);
      int found = 0;
      for (int row = 0; row < order.length; row++) {
        found += ranking.output(row, 0) == order[row] ? 1 : 0;
      }
      assertEquals(order.length, found, fitted::toString);
      for (int row = 0; row < order.length; row++) {
        assertTrue(ranking.probability(row, 0) > 0.98, fitted::toString);
      }
    }
  }

  @Test
  void rowsOfAFoldAreScoredByTheMixtureOfThatFold() {
    SplittableRandom random = new SplittableRandom(Seed.value());
    List<int[]> rows = IntStream.range(0, 300).mapToObj(i -> new int[] {i % FEATURES}).toList();
    try (SparseWeights ofAll = Scorers.weights(31, random, Workers.common());
        SparseWeights ofFold = Scorers.weights(31, random, Workers.common());
        SparseRows x = SparseRows.of(rows)) {
      Mixture all = Mixture.builder().weights("one", ofAll).build();
      Mixture fold = Mixture.builder().weights("one", ofFold).build();
      Mixture fitted = all.fit(List.of(new Mixture.Fold(fold, List.of(x), x)));
      Mixture wanted = fold.fit(List.of(x), x);
      assertArrayEquals(wanted.weights(), fitted.weights());
      assertArrayEquals(
          wanted.calibration().orElseThrow().knots(), fitted.calibration().orElseThrow().knots());
      assertSame(ofAll, fitted.scorer("one", SparseWeights.class));
    }
  }

  @Test
  void rowsOfAFoldNeedALikeMixture() {
    SplittableRandom random = new SplittableRandom(4);
    try (Scorers all = new Scorers(31, false, Workers.common(), random);
        SparseWeights fewer = Scorers.weights(30, random, Workers.common())) {
      List<SparseRows> x = List.of(all.x);
      Mixture mixture =
          Mixture.builder()
              .layer("a", all.bag, all.layer)
              .weights("b", all.one)
              .addProbabilities()
              .build();
      String expected =
          "like: expected a of EmbeddingBag and HierarchicalSoftmax, b of SparseWeights"
              + " for 31 outputs, adding probabilities but was ";
      Map<String, MixtureBuilder> others =
          Map.of(
              "b of SparseWeights for 31 outputs",
              Mixture.builder().weights("b", all.one),
              "a of LinearLabelTree, b of SparseWeights for 31 outputs, adding probabilities",
              Mixture.builder().tree("a", all.tree).weights("b", all.one).addProbabilities(),
              "a of EmbeddingBag and HierarchicalSoftmax, c of SparseWeights for 31 outputs,"
                  + " adding probabilities",
              Mixture.builder()
                  .layer("a", all.bag, all.layer)
                  .weights("c", all.one)
                  .addProbabilities(),
              "a of EmbeddingBag and HierarchicalSoftmax, b of SparseWeights for 31 outputs",
              Mixture.builder().layer("a", all.bag, all.layer).weights("b", all.one),
              "b of SparseWeights for 30 outputs, adding probabilities",
              Mixture.builder().weights("b", fewer).addProbabilities());
      others.forEach(
          (found, builder) -> {
            List<Mixture.Fold> folds = List.of(new Mixture.Fold(builder.build(), x, all.x));
            assertRejects(expected + found, () -> mixture.fit(folds));
          });
    }
  }

  /** The first step of the fit overshoots, because the curvature is 0. */
  @Test
  void fitBeginsAmongLargeScores() {
    int outputs = 40;
    List<int[]> lists = new ArrayList<>();
    List<float[]> of = new ArrayList<>();
    for (int feature = 0; feature < outputs; feature++) {
      int right = feature;
      lists.add(IntStream.range(0, 20).map(i -> (right + i) % outputs).toArray());
      float[] scores = new float[20];
      Arrays.fill(scores, 1e4f);
      scores[0] = 2e4f;
      of.add(scores);
    }
    List<int[]> rows = IntStream.range(0, 100).mapToObj(i -> new int[] {i % outputs}).toList();
    try (SparseRows weights = SparseRows.of(lists, of);
        SparseRows x = SparseRows.of(rows);
        SparseWeights large = SparseWeights.of(weights, outputs)) {
      Mixture mixture = Mixture.builder().weights("large", large).build();
      Ranking ranking = mixture.fit(List.of(x), x).topK(List.of(x), 1);
      for (int row = 0; row < rows.size(); row++) {
        assertEquals(row % outputs, ranking.output(row, 0));
      }
      assertTrue(ranking.probability(0, 0) > 0.5, () -> "" + ranking.probability(0, 0));
    }
  }

  /** The names belong to sparse weights beside a layer without names. */
  @Test
  void namesOfAnyScorerAreSaved() throws IOException {
    Path file = folder.resolve("names");
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(2))) {
      all.one.setLabels(
          Labels.of(IntStream.range(0, 31).mapToObj(i -> "n" + i).toArray(String[]::new)));
      Mixture.builder().layer("b", all.bag, all.layer).weights("a", all.one).build().save(file);
      try (Mixture loaded = Mixture.load(file)) {
        assertEquals("n7", loaded.labels().name(7));
        assertEquals("n7", loaded.scorer("a", SparseWeights.class).labels().name(7));
      }
    }
  }

  /** Names of fewer outputs, and of examples, beside names of all outputs and alone. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void eachScorerKeepsItsNames(boolean hasLayer) throws IOException {
    Path file = folder.resolve("names");
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(2));
        SparseRows rows = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        SparseWeights examples = SparseWeights.ofRows(rows, FEATURES)) {
      all.layer.setLabels(names("layer", 31));
      all.one.setLabels(names("one", 31));
      all.other.setLabels(names("other", 28));
      examples.setLabels(names("example", 2));
      try (SparseWeights ofExamples = SparseWeights.of(rows, 3)) {
        MixtureBuilder builder = Mixture.builder();
        if (hasLayer) {
          builder.layer("layer", all.bag, all.layer);
        }
        builder
            .weights("one", all.one)
            .weights("other", all.other)
            .nearest("near", new NearestExamples(examples, ofExamples, 1))
            .build()
            .save(file);
      }
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
        try (Mixture loaded = Mixture.load(file, options)) {
          assertEquals(names(hasLayer ? "layer" : "one", 31), loaded.labels());
          assertEquals(names("one", 31), loaded.scorer("one", SparseWeights.class).labels());
          assertEquals(names("other", 28), loaded.scorer("other", SparseWeights.class).labels());
          NearestExamples near = loaded.scorer("near", NearestExamples.class);
          assertEquals(names("example", 2), near.examples().labels());
          assertFalse(near.outputs().hasLabels());
        }
      }
    }
  }

  /** Two layers of different kinds, types and sizes; the first may have the names of the second. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void filesHoldSeveralLayers(boolean haveOneName) throws IOException {
    Path file = folder.resolve("layers");
    try (Scorers all = new Scorers(31, true, Workers.common(), new SplittableRandom(4));
        EmbeddingBag bag = EmbeddingBag.builder(FEATURES, 3).build();
        EmbeddingBag narrow = bag.withWeights(ElementType.INT8);
        HierarchicalSoftmax wide = HierarchicalSoftmax.builder(3, 31).build();
        HierarchicalSoftmax second = wide.withWeights(ElementType.INT8)) {
      all.layer.setLabels(names("first", 31));
      second.setLabels(names(haveOneName ? "first" : "second", 31));
      all.one.setLabels(names("one", 31));
      all.layer.retire(5);
      Mixture mixture =
          Mixture.builder()
              .weights("one", all.one)
              .layer("a", all.bag, all.layer)
              .layer("b", narrow, second)
              .layer("c", all.bag, all.layer)
              .build();
      mixture.save(file, SaveOptions.defaults().withMetadata(Map.of("key", "value")));
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
        try (Mixture loaded = Mixture.load(file, options)) {
          assertEquals(mixture.toString(), loaded.toString());
          assertEquals(Map.of("key", "value"), loaded.metadata());
          HierarchicalSoftmax ofLoaded = loaded.scorer("b", HierarchicalSoftmax.class);
          assertEquals(second.labels(), ofLoaded.labels());
          assertEquals(Map.of(), ofLoaded.metadata());
          assertEquals(ElementType.INT8, ofLoaded.weightType());
          assertEquals(all.layer.labels(), loaded.scorer("a", LabelTree.class).labels());
          assertEquals(all.layer.labels(), loaded.scorer("c", LabelTree.class).labels());
          assertEquals(all.one.labels(), loaded.labels());
          Ranking wanted = mixture.topK(List.of(all.x), 7);
          Ranking actual = loaded.topK(List.of(all.x), 7);
          for (int row = 0; row < ROWS; row++) {
            assertArrayEquals(wanted.outputs(row), actual.outputs(row));
            assertArrayEquals(wanted.logProbabilities(row), actual.logProbabilities(row));
          }
        }
      }
      String text = Files.readString(file, StandardCharsets.ISO_8859_1);
      assertEquals(!haveOneName, text.contains("layer.b.labels.offsets"));
      assertFalse(text.contains("layer.c.labels.offsets"));
      try (LabelTree alone = LabelTree.load(file)) {
        assertEquals(all.layer.steps(), alone.steps());
        assertEquals(Map.of("key", "value"), alone.metadata());
      }
    }
  }

  @Test
  void furtherLayersAreSavedOnlyIfFinite() {
    Path file = folder.resolve("nan");
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(4));
        Scorers other = new Scorers(31, false, Workers.common(), new SplittableRandom(5))) {
      Mixture mixture =
          Mixture.builder()
              .layer("a", all.bag, all.layer)
              .layer("b", other.bag, other.layer)
              .build();
      other.layer.b2().put(0, new float[] {Float.NaN}, 0, 1);
      IllegalStateException refused =
          assertThrows(IllegalStateException.class, () -> mixture.save(file));
      assertTrue(refused.getMessage().startsWith("layer.b.b2: element 0"), refused::getMessage);
      assertFalse(Files.exists(file));
      other.layer.close();
      assertThrows(IllegalStateException.class, () -> mixture.save(file));
    }
  }

  private static Labels names(String prefix, int count) {
    return Labels.of(IntStream.range(0, count).mapToObj(i -> prefix + i).toList());
  }

  /** The filter works even if its layer has weight 0. */
  @Test
  void filtersMayListTheOutputsOfAGrownLayer() {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(3))) {
      Mixture mixture =
          Mixture.builder()
              .layer("a", all.bag, all.layer)
              .weights("b", all.one)
              .build()
              .withWeights(0, 1);
      List<SparseRows> x = List.of(all.x);
      Ranking before = mixture.topK(x, 31);
      all.layer.addOutputs(3);
      Ranking after = mixture.topK(x, 31, Filter.without(33));
      for (int row = 0; row < ROWS; row++) {
        assertArrayEquals(before.outputs(row), after.outputs(row));
      }
      assertEquals(0, mixture.topK(x, 31, Filter.only(32, 33)).size(0));
      ScoreCalibration constant = ScoreCalibration.of(new float[] {0, 1}, new float[] {-2, -1});
      all.layer.retire(1, 32);
      Mixture none = mixture.withWeights(new float[2], constant);
      assertArrayEquals(
          new int[] {30, 31, 33},
          none.topK(x, 9, Filter.without(2).and(Filter.only(1, 2, 30, 31, 32, 33))).outputs(0));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void retiredOutputsHaveNoTerms(boolean addsProbabilities) {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(3));
        SparseRows row = SparseRows.of(List.of(new int[] {3, 8}))) {
      MixtureBuilder builder = Mixture.builder().layer("a", all.bag, all.layer);
      Mixture mixture =
          (addsProbabilities ? builder.addProbabilities() : builder).weights("b", all.one).build();
      all.layer.retire(4);
      List<Share> retired = mixture.explain(List.of(row), 4);
      double score = addsProbabilities ? 0 : Double.NEGATIVE_INFINITY;
      assertEquals(score, retired.get(0).score());
      assertEquals(score, retired.get(0).constant());
      for (Term term : retired.get(0).terms()) {
        assertEquals(0, term.contribution());
      }
      assertFalse(Double.isNaN(sum(retired)));
    }
  }

  private static double sum(List<Share> shares) {
    return shares.stream().mapToDouble(Share::contribution).sum();
  }

  @Test
  void explanationsAddUp() {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(9));
        SparseRows row = SparseRows.of(List.of(new int[] {3, 3, 8, 20}))) {
      Mixture mixture =
          Mixture.builder()
              .layer("embedding", all.bag, all.layer)
              .tree("tree", all.tree)
              .weights("one", all.one)
              .weights("other", all.other)
              .build()
              .withWeights(1, 0.5f, 2, 0);
      Ranking ranking = mixture.topK(List.of(row), 31);
      for (int rank = 0; rank < 31; rank++) {
        List<Share> explained = mixture.explain(List.of(row), ranking.output(0, rank));
        double sum = sum(explained);
        assertEquals(ranking.score(0, rank), sum, 1e-5 * (1 + Math.abs(sum)));
        assertEquals(
            List.of("embedding", "tree", "one", "other"),
            explained.stream().map(Share::scorer).toList());
        Share sparse = explained.get(2);
        assertEquals(sparse.score(), sparse.terms().stream().mapToDouble(Term::contribution).sum());
        assertEquals(
            List.of(3, 8, 20),
            explained.get(0).terms().stream().map(Term::feature).sorted().toList());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "SUM, 2, false",
    "SUM, , true",
    "SUM, 1e8, false",
    "MEAN, , false",
    "ROOT_MEAN, 2, true"
  })
  void explanationsStartWithARowWithoutFeatures(
      EmbeddingBag.Mode mode, Float value, boolean addsProbabilities) {
    boolean isWeighted = value != null;
    int[] indices = {3, 3, 8, 20};
    float[] values = {0.5f, isWeighted ? value : 0, -1, 0.25f};
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(9));
        EmbeddingBag bag = EmbeddingBag.builder(FEATURES, 5).mode(mode).seed(4).build();
        SparseRows row = one(indices, isWeighted ? values : null);
        SparseRows none = SparseRows.of(List.of(new int[0]))) {
      Scorers.randomize(bag.table(), 2, new SplittableRandom(3));
      MixtureBuilder builder =
          Mixture.builder().layer("embedding", bag, all.layer).tree("tree", all.tree);
      Mixture mixture = (addsProbabilities ? builder.addProbabilities() : builder).build();
      for (int output = 0; output < 31; output++) {
        List<Share> shares = mixture.explain(List.of(row), output);
        List<Share> constants = mixture.explain(List.of(none), output);
        for (int i = 0; i < 2; i++) {
          assertEquals(List.of(), constants.get(i).terms());
          assertClose(constants.get(i).score(), shares.get(i).constant());
        }
        Share ofTree = shares.get(1);
        assertClose(
            ofTree.score(),
            ofTree.constant() + ofTree.terms().stream().mapToDouble(Term::contribution).sum());
        Share ofLayer = shares.get(0);
        double last = Double.POSITIVE_INFINITY;
        for (Term term : ofLayer.terms()) {
          int[] others = IntStream.range(0, 4).filter(i -> indices[i] != term.feature()).toArray();
          float[] valuesOfOthers = new float[others.length];
          for (int i = 0; i < others.length; i++) {
            valuesOfOthers[i] = values[others[i]];
            others[i] = indices[others[i]];
          }
          try (SparseRows without = one(others, isWeighted ? valuesOfOthers : null)) {
            double rest = mixture.explain(List.of(without), output).get(0).score();
            assertClose(rest, ofLayer.score() - term.contribution());
          }
          assertTrue(Math.abs(term.contribution()) <= last);
          last = Math.abs(term.contribution());
        }
        assertEquals(3, ofLayer.terms().size());
      }
    }
  }

  /** The cases include probabilities, or changes of them, that are too small for the type. */
  @ParameterizedTest
  @ValueSource(floats = {1e6f, 1e-4f, 1e-5f, 1e-30f, 0})
  void sharesOfATreeAddUpForAnyRow(float value) {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(9));
        SparseRows row = one(new int[] {3, 8}, new float[] {value, -value})) {
      Mixture logs = Mixture.builder().tree("tree", all.tree).build();
      Mixture adding = Mixture.builder().tree("tree", all.tree).addProbabilities().build();
      Ranking ranking = logs.topK(List.of(row), 31);
      for (int rank = 0; rank < 31; rank++) {
        int output = ranking.output(0, rank);
        Share ofLog = logs.explain(List.of(row), output).get(0);
        assertClose(ranking.score(0, rank), ofLog.score());
        Share share = adding.explain(List.of(row), output).get(0);
        double score = Math.exp(ranking.score(0, rank));
        assertEquals(score, share.score(), 1e-5 * score);
        double change = 0;
        for (int i = 0; i < share.terms().size(); i++) {
          Term term = share.terms().get(i);
          change += term.contribution();
          if (value < 1) { // multiplies by the derivative of the exponential function
            double weight = share.constant() * ofLog.terms().get(i).weight();
            assertEquals(weight, term.weight(), 1e-2 * Math.abs(weight));
          }
        }
        assertClose(share.score() - share.constant(), change);
      }
      assertTrue(value < 1 || ranking.score(0, 30) < -800);
    }
  }

  private static SparseRows one(int[] indices, float[] values) {
    return values == null
        ? SparseRows.of(List.of(indices))
        : SparseRows.of(List.of(indices), List.of(values));
  }

  private static void assertClose(double expected, double actual) {
    assertEquals(expected, actual, 1e-5 * (1 + Math.abs(expected)));
  }

  @Test
  void aLayerMayGrowBesideSparseWeights() {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(3))) {
      Mixture sparse =
          Mixture.builder().layer("embedding", all.bag, all.layer).weights("one", all.one).build();
      Mixture both =
          Mixture.builder().layer("embedding", all.bag, all.layer).tree("tree", all.tree).build();
      List<SparseRows> x = List.of(all.x);
      assertEquals(31, sparse.topK(x, 99).size(0));
      all.layer.addOutputs(2);
      assertEquals(33, sparse.topK(x, 99).size(0));
      assertThrows(IllegalStateException.class, () -> both.topK(x, 1));
    }
  }

  @Test
  void filesHoldAllScorers() throws IOException {
    Path file = folder.resolve("mixture");
    try (Scorers all = new Scorers(300, true, Workers.common(), new SplittableRandom(11));
        SparseRows targets = Scorers.lists(ROWS, 300, 9, new SplittableRandom(8))) {
      Labels labels = Labels.of(IntStream.range(0, 300).mapToObj(i -> "n" + i).toList());
      all.layer.setLabels(labels);
      all.tree.setLabels(labels);
      all.one.setLabels(labels);
      List<Mixture> mixtures = new ArrayList<>();
      for (boolean hasLayer : new boolean[] {false, true}) {
        for (boolean hasTree : new boolean[] {false, true}) {
          MixtureBuilder builder = Mixture.builder().weights("a", all.one);
          if (hasLayer) {
            builder.layer("b", all.bag, all.layer).addProbabilities();
          }
          if (hasTree) {
            builder.tree("c", all.tree);
          }
          Mixture mixture = builder.weights("d", all.other).build();
          mixtures.add(hasTree ? mixture.fit(List.of(all.x), targets) : mixture);
        }
      }
      for (Mixture mixture : mixtures) {
        mixture.save(file, SaveOptions.defaults().withMetadata(Map.of("key", "value")));
        for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
          try (Mixture loaded = Mixture.load(file, options)) {
            assertEquals(mixture.toString(), loaded.toString());
            assertEquals(Map.of("key", "value"), loaded.metadata());
            Ranking wanted = mixture.topK(List.of(all.x), 5);
            Ranking actual = loaded.topK(List.of(all.x), 5);
            for (int row = 0; row < ROWS; row++) {
              assertArrayEquals(wanted.outputs(row), actual.outputs(row));
              assertArrayEquals(wanted.logProbabilities(row), actual.logProbabilities(row));
            }
            if (wanted.size(0) > 0) {
              assertEquals("n" + wanted.output(0, 0), actual.label(0, 0));
            }
          }
        }
      }
      try (LabelTree alone = LabelTree.load(file);
          LinearLabelTree tree = LinearLabelTree.load(file)) {
        assertEquals(300, alone.outputs());
        assertEquals(300, tree.outputs());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "mixture.weights, 0, 2143289344, mixture.weights",
    "mixture.weights, 0, -1082130432, mixture.weights",
    "mixture.knots, 0, 2143289344, mixture.knots",
    "mixture.knots, 0, 1259902592, mixture.knots",
    "sparse.a.chunks, 0, 7, sparse.a.chunks",
    "sparse.a.biases, 1, 1065353216, sparse.a.biases",
  })
  void wrongNumbersAreRefused(String tensor, int element, int value, String part)
      throws IOException {
    byte[] bytes = savedMixture();
    String header = new String(bytes, StandardCharsets.ISO_8859_1);
    Matcher entry =
        Pattern.compile("\"" + tensor + "\".*?\"data_offsets\":\\[(\\d+),").matcher(header);
    assertTrue(entry.find(), header);
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int begin = 8 + (int) buffer.getLong(0) + Integer.parseInt(entry.group(1));
    buffer.putInt(begin + 4 * element, value);
    assertEquals(part, refused(bytes).part());
  }

  @ParameterizedTest
  @CsvSource({
    "sparse:a sparse:b, sparse:a sparse:c, sparse.c.weights",
    "sparse:a sparse:b, sparse:a sparse:a, __metadata__",
    "sparse:a sparse:b, layer:a layer:bcd, table",
    "sparse:a sparse:b, spars.:a sparse:b, __metadata__",
    "sparse:a sparse:b, sparse:a sparse:/, __metadata__",
    "mixture.weights, mixture.weightz, mixture.weights",
    "mixture.knots, mixture.knotz, __metadata__",
    "sparse.a.biases, sparse.a.biasez, sparse.a.biases",
  })
  void wrongHeadersAreRefused(String from, String to, String part) throws IOException {
    String text = new String(savedMixture(), StandardCharsets.ISO_8859_1);
    assertTrue(text.contains(from), text);
    assertEquals(
        part, refused(text.replace(from, to).getBytes(StandardCharsets.ISO_8859_1)).part());
  }

  @ParameterizedTest
  @CsvSource({
    "layer.b.W2, layer.b.W3, layer.b.W2, is missing",
    "layer.b.b1, layer.B.b1, layer.b.b1, is missing",
    "layer.b.table, layer.b.tablf, layer.b.table, is missing",
    "layer.b.classOf, layer.b.classOg, layer.b.classOf, is missing",
    "layer.b.steps, layer.b.stepz, __metadata__, of layer.b.: has no blocksparse.steps",
    "layer.b.format, layer.b.formas, __metadata__, of layer.b.: has no blocksparse.format",
    "layer.b.bag.mode, layer.b.bag.node, __metadata__, of layer.b.: has no blocksparse.bag.mode",
    "layer:a layer:b, layer:a layer:c, __metadata__, of layer.c.: has no blocksparse.format",
    "layer:a layer:b, layer:b layer:a, __metadata__, of layer.a.: has no blocksparse.format",
    "layer:a layer:b, layer:a layer:a, __metadata__, wrong scorer",
  })
  void wrongHeadersOfFurtherLayersAreRefused(String from, String to, String part, String reason)
      throws IOException {
    Path file = folder.resolve("layers");
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(4));
        Scorers other = new Scorers(31, false, Workers.common(), new SplittableRandom(5))) {
      Mixture.builder()
          .layer("a", all.bag, all.layer)
          .layer("b", other.bag, other.layer)
          .build()
          .save(file);
    }
    String text = Files.readString(file, StandardCharsets.ISO_8859_1);
    assertTrue(text.contains(from), text);
    FileFormatException refused =
        refused(text.replace(from, to).getBytes(StandardCharsets.ISO_8859_1));
    assertEquals(part, refused.part());
    assertTrue(refused.getMessage().contains(reason), refused::getMessage);
  }

  @Test
  void wrongNumbersOfTheTopTwoAreRefused() throws IOException {
    String text = new String(savedMixture(), StandardCharsets.ISO_8859_1);
    for (String wrong : List.of("x", " ", "9999")) {
      String changed =
          text.replaceFirst("(mixture.topTwo\":\").{" + wrong.length() + "}", "$1" + wrong);
      FileFormatException refused = refused(changed.getBytes(StandardCharsets.ISO_8859_1));
      assertEquals("__metadata__", refused.part());
      assertTrue(refused.getMessage().contains("mixture.topTwo"), refused::getMessage);
    }
  }

  private byte[] savedMixture() throws IOException {
    Path file = folder.resolve("saved");
    try (Scorers all = new Scorers(31, true, Workers.common(), new SplittableRandom(11));
        SparseRows targets = Scorers.lists(ROWS, 31, 9, new SplittableRandom(8))) {
      Mixture mixture = Mixture.builder().weights("a", all.one).weights("b", all.other).build();
      mixture.fit(List.of(all.x), targets).save(file);
    }
    return Files.readAllBytes(file);
  }

  private FileFormatException refused(byte[] bytes) throws IOException {
    Path file = Files.write(folder.resolve("changed"), bytes);
    return assertThrows(FileFormatException.class, () -> Mixture.load(file));
  }

  @Test
  void rowsWithNaNHaveNoRanking() {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(2));
        SparseRows weights = SparseRows.of(new int[] {0, 1}, new int[] {4});
        SparseWeights one = SparseWeights.of(weights, 31);
        SparseRows x =
            SparseRows.of(
                List.of(new int[] {0}, new int[] {0}),
                List.of(new float[] {Float.NaN}, new float[] {1}));
        SparseRows right = SparseRows.of(List.of(new int[] {0}, new int[] {0}))) {
      for (Mixture mixture :
          List.of(
              Mixture.builder().layer("a", all.bag, all.layer).weights("b", one).build(),
              Mixture.builder().tree("a", all.tree).weights("b", one).build())) {
        Ranking ranking = mixture.topK(List.of(right, x), 3);
        assertFalse(ranking.isDefined(0));
        assertTrue(ranking.isDefined(1));
      }
    }
  }

  @Test
  void scorersAreThoseThatWereAdded() {
    try (Scorers all = new Scorers(31, false, Workers.common(), new SplittableRandom(2))) {
      Mixture mixture =
          Mixture.builder().layer("a", all.bag, all.layer).weights("b", all.one).build();
      assertSame(all.bag, mixture.scorer("a", EmbeddingBag.class));
      assertSame(all.layer, mixture.scorer("a", TwoLevelLayer.class));
      assertSame(all.one, mixture.scorer("b", SparseWeights.class));
      for (String name : List.of("b", "c")) {
        assertThrows(
            IllegalArgumentException.class, () -> mixture.scorer(name, TwoLevelLayer.class));
      }
      assertThrows(IllegalStateException.class, mixture::labels);
      Labels labels = Labels.of(IntStream.range(0, 31).mapToObj(Integer::toString).toList());
      all.layer.setLabels(labels);
      assertEquals(labels, mixture.labels());
    }
  }
}
