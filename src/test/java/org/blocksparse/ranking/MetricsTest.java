// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;

/** Metrics compared with figures computed by hand, and with those of scikit-learn. */
final class MetricsTest {
  private static final double EXACT = 1e-14;

  /** Returns a ranking of these outputs; its probabilities do not matter. */
  private static Ranking ranking(int[]... outputs) {
    float[][] logProbabilities =
        Arrays.stream(outputs).map(row -> new float[row.length]).toArray(float[][]::new);
    return Ranking.of(outputs, logProbabilities);
  }

  private static Metrics metrics(int upTo, Ranking ranking, int[]... labels) {
    Metrics metrics = Metrics.upTo(upTo);
    try (SparseRows rows = SparseRows.of(Arrays.asList(labels))) {
      metrics.add(ranking, rows);
    }
    return metrics;
  }

  @Test
  void byHand() {
    // Hits at ranks 1 and 3 of three labels, and at rank 2 of one label.
    Ranking ranking = ranking(new int[] {7, 1, 5, 0}, new int[] {3, 2, 9, 8});
    Metrics metrics = metrics(4, ranking, new int[] {5, 7, 6}, new int[] {2, 2});
    assertEquals(2, metrics.rows());
    assertEquals((1 + 0) / 2.0, metrics.precision(1), EXACT);
    assertEquals((1 / 2.0 + 1 / 2.0) / 2, metrics.precision(2), EXACT);
    assertEquals((2 / 3.0 + 1 / 3.0) / 2, metrics.precision(3), EXACT);
    assertEquals((2 / 4.0 + 1 / 4.0) / 2, metrics.precision(4), EXACT);
    assertEquals((1 / 3.0 + 0) / 2, metrics.recall(1), EXACT);
    assertEquals((2 / 3.0 + 1) / 2, metrics.recall(3), EXACT);
    // Discounts: 1, 1 / log2(3) = .63093, 1 / log2(4) = .5
    double second = Math.log(2) / Math.log(3);
    assertEquals((1 + 0) / 2.0, metrics.reciprocalRank(1), EXACT);
    assertEquals((1 + 0.5) / 2.0, metrics.reciprocalRank(2), EXACT);
    assertEquals((1 + 0.5) / 2.0, metrics.reciprocalRank(3), EXACT);
    assertEquals((1 + 0) / 2.0, metrics.ndcg(1), EXACT);
    assertEquals((1 / (1 + second) + second) / 2, metrics.ndcg(2), EXACT);
    assertEquals((1.5 / (1.5 + second) + second) / 2, metrics.ndcg(3), EXACT);
    assertEquals(metrics.ndcg(3), metrics.ndcg(4), EXACT);
    assertEquals(
        String.format(
            Locale.ROOT,
            "Metrics(2 rows; at 4: precision %.4f, recall %.4f, nDCG %.4f)",
            .375,
            5 / 6.0,
            metrics.ndcg(4)),
        metrics.toString());
  }

  /** Metrics of short rankings at any rank equal those with that many ranks. */
  @Test
  void ranksBeyondTheRankingsAreNoHits() {
    double[] propensities = {1, .5, .25, .1, .9, .8, .7};
    Ranking ranking = ranking(new int[] {6, 1, 5}, new int[] {3}, new int[] {2, 1, 0});
    int[][] few = {{5, 4, 6}, {3, 2}, {1}};
    int[][] many = {{5, 4, 6, 0, 1}, {3, 2}, {1}};
    for (int[][] labels : List.of(few, many)) {
      try (SparseRows rows = SparseRows.of(Arrays.asList(labels))) {
        Metrics shorter = Metrics.upTo(3, propensities);
        Metrics longer = Metrics.upTo(9, propensities);
        shorter.add(ranking, rows);
        longer.add(ranking, rows);
        for (int k = 1; k <= 9; k++) {
          int at = k;
          assertEquals(longer.precision(k), shorter.precision(k), EXACT);
          assertEquals(longer.recall(k), shorter.recall(k), EXACT);
          if (k <= 3 || labels == few) {
            assertEquals(longer.ndcg(k), shorter.ndcg(k), EXACT);
            double wanted = longer.propensityScoredPrecision(k);
            assertEquals(wanted, shorter.propensityScoredPrecision(k), EXACT);
          } else {
            String message =
                "k: expected at most upTo = 3, as a row has 5 labels, but was "
                    + k
                    + "; take Metrics.upTo("
                    + k
                    + ")";
            Class<IllegalArgumentException> type = IllegalArgumentException.class;
            assertFails(type, message, () -> shorter.ndcg(at));
            assertFails(type, message, () -> shorter.propensityScoredPrecision(at));
          }
        }
      }
    }
    Metrics cut = metrics(2, ranking, few);
    String message =
        "k: expected at most upTo = 2, as a row has 3 outputs, but was 3; take Metrics.upTo(3)";
    assertFails(IllegalArgumentException.class, message, () -> cut.recall(3));
    assertFails(IllegalArgumentException.class, message, () -> cut.precision(3));
    assertFails(IllegalArgumentException.class, message, () -> cut.ndcg(3));
  }

  @Test
  void byPropensity() {
    double[] propensities = {1, .5, .25, .1};
    Metrics metrics = Metrics.upTo(3, propensities);
    Ranking ranking = ranking(new int[] {0, 3, 1}, new int[] {2, 1, 0});
    try (SparseRows labels = SparseRows.of(List.of(new int[] {0, 1, 3}, new int[] {1}))) {
      metrics.add(ranking, labels);
    }
    // Row 0 scores 1, 10, 2 where 10, 2, 1 is possible; row 1 scores 0, 2, 0 where 2 is possible.
    assertEquals(1.0 / (10 + 2), metrics.propensityScoredPrecision(1), EXACT);
    assertEquals((11.0 + 2) / (12 + 2), metrics.propensityScoredPrecision(2), EXACT);
    assertEquals((13.0 + 2) / (13 + 2), metrics.propensityScoredPrecision(3), EXACT);
    assertEquals(1 / 2.0, metrics.precision(1), EXACT);
  }

  /** The labels of a row may come in any order, some of them twice. */
  @Test
  void labelsAreASet() {
    double[] propensities = {.9, .8, .7, .6, .5, .4, .3, .2, .1, .05};
    Ranking ranking = ranking(new int[] {7, 1, 9, 0, 4, 3});
    Metrics expected = Metrics.upTo(5, propensities);
    Random random = new Random(1);
    List<Integer> labels = new ArrayList<>(List.of(0, 1, 4, 6, 7));
    for (int order = 0; order < 100; order++) {
      Metrics actual = order == 0 ? expected : Metrics.upTo(5, propensities);
      try (SparseRows rows =
          SparseRows.of(List.of(labels.stream().mapToInt(Integer::intValue).toArray()))) {
        actual.add(ranking, rows);
      }
      for (int k = 1; k <= 5; k++) {
        String at = labels + " at " + k;
        assertEquals(expected.precision(k), actual.precision(k), at);
        assertEquals(expected.recall(k), actual.recall(k), at);
        assertEquals(expected.ndcg(k), actual.ndcg(k), at);
        assertEquals(
            expected.propensityScoredPrecision(k), actual.propensityScoredPrecision(k), at);
      }
      if (order == 50) {
        labels.addAll(List.of(6, 0));
      }
      Collections.shuffle(labels, random);
    }
    assertEquals(4 / 5.0, expected.precision(5), EXACT); // 7, 1, 0 and 4, but not 9
    assertEquals(4 / 5.0, expected.recall(5), EXACT);
  }

  @Test
  void propensitiesByCounts() {
    // (1 + 1)^1 (0 + 1)^-1 = 2, (1 + 1) / (1 + 1) = 1, (1 + 1) / (3 + 1) = .5
    long examples = 20;
    double factor = Math.log(examples) - 1;
    assertArrayEquals(
        new double[] {1 / (1 + 2 * factor), 1 / (1 + factor), 1 / (1 + factor / 2)},
        Metrics.propensities(new long[] {0, 1, 3}, examples, 1, 1),
        EXACT);
    double[] usual = Metrics.propensities(new long[] {0, 10, 1000}, 10_000);
    // python3 -c "from math import *; print([1/(1+(log(10000)-1)*2.5**.55*(n+1.5)**-.55) for n in
    // (0,10,1000)])"
    assertArrayEquals(
        new double[] {0.08421963476787578, 0.2199318754125524, 0.7668725823596995}, usual, EXACT);
  }

  /** The formula gives 0 for the first label, which metrics reject. */
  @Test
  void theLeastPropensitiesGiveScoresAllTheSame() {
    double[] least = Metrics.propensities(new long[] {0, 1}, 20, 2, 1e-300);
    assertArrayEquals(new double[] {1e-250, 1 / Math.log(20)}, least, EXACT);
    assertEquals(1e-250, least[0]);
    Metrics metrics = Metrics.upTo(2, new double[] {1e-250, 1e-250, 1e-250, 1e-250});
    Ranking ranking = ranking(new int[] {0, 3}, new int[] {2, 1});
    try (SparseRows labels = SparseRows.of(List.of(new int[] {0, 1, 3}, new int[] {1}))) {
      for (int batch = 0; batch < 1000; batch++) {
        metrics.add(ranking, labels);
      }
    }
    assertEquals(.5, metrics.propensityScoredPrecision(1), EXACT);
    assertEquals(1, metrics.propensityScoredPrecision(2), EXACT);
  }

  /** Returns a ranking by descending score, as in the comment of {@link #asScikitLearn}. */
  private static Ranking byScore(int rows, int labels) {
    int[][] outputs = new int[rows][];
    for (int r = 0; r < rows; r++) {
      int row = r;
      outputs[r] =
          IntStream.range(0, labels)
              .boxed()
              .sorted(Comparator.comparing(l -> -((row * 37 + l * 61 + l * l * 5) % 97)))
              .mapToInt(Integer::intValue)
              .toArray();
    }
    return ranking(outputs);
  }

  /**
   * The figures are those of scikit-learn 1.4.2 (apt-get install python3-sklearn):
   *
   * <pre>{@code
   * import numpy as np
   * from sklearn.metrics import (ndcg_score, precision_score, recall_score,
   *                              top_k_accuracy_score, log_loss)
   * R, L = 7, 11
   * score = np.array([[(r * 37 + l * 61 + l * l * 5) % 97 for l in range(L)]
   *                   for r in range(R)], float)
   * truth = np.array([...])   # TRUTH
   * for k in (1, 3, 5):
   *     top = np.zeros_like(truth)
   *     np.put_along_axis(top, np.argsort(-score)[:, :k], 1, axis=1)
   *     print(precision_score(truth, top, average="samples"),
   *           recall_score(truth, top, average="samples"), ndcg_score(truth, score, k=k))
   * target = [(r * r * 2 + 2) % L for r in range(R)]
   * print(*[top_k_accuracy_score(target, score, k=k, labels=range(L)) for k in (1, 3, 5)])
   * p = np.exp(score / 30); p /= p.sum(1, keepdims=True)
   * print(np.exp(log_loss(target, p, labels=range(L))))
   * }</pre>
   */
  @Test
  void asScikitLearn() {
    Metrics metrics = Metrics.upTo(5);
    try (SparseRows labels = SparseRows.of(labelsOf(TRUTH))) {
      metrics.add(byScore(TRUTH.length, 11), labels);
    }
    double[][] expected = {
      {1, 0.5714285714285714, 0.11774891774891776, 0.5714285714285714},
      {3, 0.5238095238095238, 0.4627705627705628, 0.5975621026000582},
      {5, 0.4571428571428572, 0.5744588744588744, 0.5952835555866915}
    };
    for (double[] row : expected) {
      int k = (int) row[0];
      assertEquals(row[1], metrics.precision(k), EXACT);
      assertEquals(row[2], metrics.recall(k), EXACT);
      assertEquals(row[3], metrics.ndcg(k), EXACT);
    }
  }

  private static final int[][] TRUTH = {
    {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0},
    {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0},
    {1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0},
    {0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0},
    {0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
    {0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0},
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
  };

  private static List<int[]> labelsOf(int[][] truth) {
    List<int[]> labels = new ArrayList<>();
    for (int[] row : truth) {
      labels.add(IntStream.range(0, row.length).filter(l -> row[l] == 1).toArray());
    }
    return labels;
  }

  /**
   * One label for each row, and the loss of a layer with these probabilities, by the same program.
   */
  @Test
  void oneLabelAsScikitLearn() {
    int rows = 7;
    int labels = 11;
    int[] targets = IntStream.range(0, rows).map(r -> (r * r * 2 + 2) % labels).toArray();
    float[] logits = new float[rows * labels];
    for (int r = 0; r < rows; r++) {
      for (int l = 0; l < labels; l++) {
        logits[r * labels + l] = (r * 37 + l * 61 + l * l * 5) % 97 / 30f;
      }
    }
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(rows, labels)
                .classes(1)
                .build(
                    FloatTensor.zeros(rows, 1),
                    FloatTensor.zeros(1),
                    FloatTensor.of(logits, 1, rows, labels),
                    FloatTensor.zeros(1, labels));
        FloatTensor x = FloatTensor.zeros(rows, rows);
        IntTensor target = IntTensor.of(targets, rows)) {
      for (int r = 0; r < rows; r++) {
        x.set(1, r, r);
      }
      Metrics metrics = Metrics.upTo(5);
      metrics.add(layer.topK(x, 5), target);
      assertEquals(0.14285714285714285, metrics.recall(1), EXACT);
      assertEquals(0.14285714285714285, metrics.recall(3), EXACT);
      assertEquals(0.42857142857142855, metrics.recall(5), EXACT);
      assertEquals(metrics.recall(5) / 5, metrics.precision(5), EXACT);
      assertEquals(16.916713813193272, Metrics.perplexity(layer.loss(x, target)), 1e-5);
    }
    assertEquals(1, Metrics.perplexity(0));
    assertTrue(Double.isNaN(Metrics.perplexity(Double.NaN)));
  }

  @Test
  void batchesAddUp() {
    Ranking all = byScore(7, 11);
    Metrics whole = metrics(11, all, labelsOf(TRUTH).toArray(new int[0][]));
    Metrics parts = Metrics.upTo(11);
    for (int row = 0; row < 7; row++) {
      try (SparseRows labels = SparseRows.of(labelsOf(TRUTH).subList(row, row + 1))) {
        parts.add(ranking(all.outputs(row)), labels);
      }
    }
    for (int k = 1; k <= 11; k++) {
      assertEquals(whole.precision(k), parts.precision(k), EXACT);
      assertEquals(whole.recall(k), parts.recall(k), EXACT);
      assertEquals(whole.ndcg(k), parts.ndcg(k), EXACT);
    }
    assertEquals(1, whole.recall(11), EXACT);
  }

  @Test
  void rowsWithoutLabelsOrWithoutRanking() {
    Metrics metrics =
        metrics(
            2,
            ranking(new int[] {1}, new int[0], new int[] {2}),
            new int[0],
            new int[] {3},
            new int[] {2});
    assertEquals(2, metrics.rows());
    assertEquals(1, metrics.rowsWithoutLabels());
    assertEquals(.5, metrics.precision(1), EXACT);
    assertEquals(.25, metrics.precision(2), EXACT);
    assertEquals(.5, metrics.ndcg(2), EXACT);
    Metrics none = Metrics.upTo(1);
    assertTrue(Double.isNaN(none.precision(1)));
    assertTrue(Double.isNaN(none.ndcg(1)));
  }

  @Test
  void whatDoesNotFitIsRefusedAndChangesNothing() {
    Metrics metrics = Metrics.upTo(2, new double[] {1, 1});
    Ranking ranking = ranking(new int[] {0}, new int[] {1});
    try (SparseRows unknown = SparseRows.of(List.of(new int[] {0}, new int[] {2}));
        IntTensor targets = IntTensor.of(new int[] {0, 2}, 2)) {
      assertThrows(IndexOutOfBoundsException.class, () -> metrics.add(ranking, unknown));
      assertThrows(IndexOutOfBoundsException.class, () -> metrics.add(ranking, targets));
    }
    assertEquals(0, metrics.rows());
  }
}
