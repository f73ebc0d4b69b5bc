// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.Locale;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.DenseInts;

/**
 * Metrics of rankings, given the true labels of each row: precision, recall, normalized discounted
 * cumulative gain, and propensity-scored precision, each for k from 1 on. Add one batch after
 * another; every row has the same weight.
 *
 * <p>For a row with the true labels Y, hits(k) are the outputs among its first k that are in Y:
 *
 * <pre>{@code
 * precision(k)  mean of hits(k) / k
 * recall(k)     mean of hits(k) / |Y|
 * ndcg(k)       mean of the sum over hits at rank i <= k of 1 / log2(i + 1),
 *               divided by the same sum where the first min(k, |Y|) ranks are hits
 *               (Jarvelin and Kekalainen, 2002)
 * propensityScoredPrecision(k)
 *               sum over all rows and hits(k) of 1 / propensity(label), divided by
 *               the largest that it could be (Jain, Prabhu and Varma, 2016)
 * }</pre>
 *
 * <p>Missing ranks of a ranking that is shorter than k, or empty, are not hits: recall(10) of
 * rankings with 5 outputs is their recall(5). Rows without labels count only in {@link
 * #rowsWithoutLabels}. A repeated label of a row counts once; values of labels are ignored.
 *
 * <p>If each row has one label, recall(k) is also called top-k accuracy.
 *
 * <p>Not safe for use by several threads.
 */
public final class Metrics {
  private static final double DEFAULT_A = 0.55;
  private static final double DEFAULT_B = 1.5;

  /**
   * The minimum propensity, large enough that the sum of reciprocals stays finite for any number of
   * rows.
   */
  private static final double LEAST_PROPENSITY = 1e-250;

  private final int upTo;

  /** The propensities, or null. */
  private final double[] propensities;

  private long rows;
  private long rowsWithoutLabels;
  private int longestRanking;
  private int mostLabels;

  // The sums over rows, by rank.
  private final double[] precision;
  private final double[] recall;
  private final double[] reciprocalRank;
  private final double[] ndcg;
  private final double[] scored;
  private final double[] scoredAtMost;

  private Metrics(int upTo, double[] propensities) {
    this.upTo = Check.dimension("upTo", upTo);
    this.propensities = propensities;
    this.precision = new double[upTo];
    this.recall = new double[upTo];
    this.reciprocalRank = new double[upTo];
    this.ndcg = new double[upTo];
    this.scored = new double[upTo];
    this.scoredAtMost = new double[upTo];
  }

  /**
   * Returns empty metrics at ranks 1 to {@code upTo}.
   *
   * @throws IllegalArgumentException unless 1 &lt;= {@code upTo} &lt;= 2<sup>31</sup> - 9
   */
  public static Metrics upTo(int upTo) {
    return new Metrics(upTo, null);
  }

  /**
   * Returns metrics as {@link #upTo(int)} does, with propensities of labels for {@link
   * #propensityScoredPrecision}.
   *
   * @param propensities for each label, the probability that an annotator finds it where it is
   *     true, in [1e-250, 1]; see {@link #propensities}
   * @throws IllegalArgumentException also if a propensity is outside [1e-250, 1]
   */
  public static Metrics upTo(int upTo, double[] propensities) {
    double[] own = requireNonNull(propensities, "propensities").clone();
    for (int label = 0; label < own.length; label++) {
      if (!(own[label] >= LEAST_PROPENSITY && own[label] <= 1)) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "propensities[%d]: expected a number in [%s, 1] but was %s",
                label,
                LEAST_PROPENSITY,
                own[label]));
      }
    }
    return new Metrics(upTo, own);
  }

  /**
   * Returns propensities from label counts in the training data, with the usual constants a = 0.55
   * and b = 1.5. See {@link #propensities(long[], long, double, double)}.
   */
  public static double[] propensities(long[] counts, long examples) {
    return propensities(counts, examples, DEFAULT_A, DEFAULT_B);
  }

  /**
   * Returns propensities from label counts in the training data (Jain, Prabhu and Varma, 2016):
   *
   * <pre>{@code
   * 1 / (1 + (ln(examples) - 1) (b + 1)^a (count + b)^-a)
   * }</pre>
   *
   * <p>and at least 1e-250.
   *
   * @param counts the number of occurrences of each label
   * @param examples the number of examples, at least 3
   * @throws IllegalArgumentException if a count is negative, if there are fewer than 3 examples, if
   *     a is negative, if b is not positive, or if a or b is not finite
   */
  public static double[] propensities(long[] counts, long examples, double a, double b) {
    if (examples < 3) { // below e, the factor is negative
      throw new IllegalArgumentException("examples: expected at least 3 but was " + examples);
    }
    if (!(a >= 0 && a < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("a: expected a finite number >= 0 but was " + a);
    }
    if (!(b > 0 && b < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("b: expected a finite number > 0 but was " + b);
    }
    double[] result = new double[requireNonNull(counts, "counts").length];
    for (int label = 0; label < result.length; label++) {
      if (counts[label] < 0) {
        throw new IllegalArgumentException(
            "counts[" + label + "] = " + counts[label] + " is negative");
      }
      double factor = Math.pow((b + 1) / (counts[label] + b), a);
      double propensity = 1 / (1 + (Math.log(examples) - 1) * factor);
      result[label] = Math.max(LEAST_PROPENSITY, propensity);
    }
    return result;
  }

  /**
   * Returns the perplexity: the exponential of the mean negative log probability.
   *
   * @param meanLoss as {@link
   *     org.blocksparse.softmax.TwoLevelLayer#loss(org.blocksparse.FloatTensor, Object)} returns it
   */
  public static double perplexity(double meanLoss) {
    return Math.exp(meanLoss);
  }

  /**
   * Adds a batch whose rows have one label each.
   *
   * @param targets (batch)
   * @throws IllegalArgumentException if there are not as many targets as rows
   * @throws IndexOutOfBoundsException if a target is negative, or if these metrics have
   *     propensities, but none for a target
   * @throws IllegalStateException if targets are closed
   */
  public void add(Ranking ranking, IntTensor targets) {
    Check.shape("targets", targets, "(batch)", requireNonNull(ranking, "ranking").batch());
    int[] labels = DenseInts.from(targets).toArray("targets");
    Check.indices("targets", labels, 0, "labels", bound());
    for (int row = 0; row < labels.length; row++) {
      add(ranking, row, new int[] {labels[row]});
    }
  }

  /**
   * Adds a batch.
   *
   * @param labels the true labels of each row of the ranking
   * @throws IllegalArgumentException if labels and ranking have different numbers of rows
   * @throws IndexOutOfBoundsException if these metrics have propensities, but none for a label; or
   *     if wrapped memory was changed, and a label is negative
   * @throws IllegalStateException if labels are closed
   */
  public void add(Ranking ranking, SparseRows labels) {
    int batch = requireNonNull(ranking, "ranking").batch();
    if (requireNonNull(labels, "labels").rows() != batch) {
      throw new IllegalArgumentException(
          "labels: expected (batch) = (" + batch + ") rows but was " + labels.rows());
    }
    CsrRows.from(labels).requireIndices("labels", "labels", bound());
    int[][] ofRows = new int[batch][];
    for (int row = 0; row < batch; row++) {
      ofRows[row] = labels.indices(row);
    }
    for (int row = 0; row < batch; row++) {
      add(ranking, row, Arrays.stream(ofRows[row]).sorted().distinct().toArray());
    }
  }

  /** Returns the bound of labels, exclusive. */
  private int bound() {
    return propensities == null ? Integer.MAX_VALUE : propensities.length;
  }

  /** Adds a row, whose labels are ascending and distinct. */
  private void add(Ranking ranking, int row, int[] labels) {
    if (labels.length == 0) {
      rowsWithoutLabels++;
      return;
    }
    rows++;
    double[] best = scores(labels);
    int hits = 0;
    double ofFirst = 0;
    double gain = 0;
    double gainAtMost = 0;
    double score = 0;
    double scoreAtMost = 0;
    int size = ranking.size(row);
    longestRanking = Math.max(longestRanking, size);
    mostLabels = Math.max(mostLabels, labels.length);
    for (int i = 0; i < upTo; i++) {
      double discount = Math.log(2) / Math.log(i + 2);
      if (i < labels.length) {
        gainAtMost += discount;
        scoreAtMost += best[i];
      }
      int output = i < size ? ranking.output(row, i) : -1;
      if (output >= 0 && Arrays.binarySearch(labels, output) >= 0) {
        hits++;
        ofFirst = hits == 1 ? 1.0 / (i + 1) : ofFirst;
        gain += discount;
        score += score(output);
      }
      precision[i] += (double) hits / (i + 1);
      recall[i] += (double) hits / labels.length;
      reciprocalRank[i] += ofFirst;
      ndcg[i] += gain / gainAtMost;
      scored[i] += score;
      scoredAtMost[i] += scoreAtMost;
    }
  }

  private double score(int label) {
    return propensities == null ? 1 : 1 / propensities[label];
  }

  /** Returns the scores of labels, the largest first. */
  private double[] scores(int[] labels) {
    double[] ascending = Arrays.stream(labels).mapToDouble(this::score).sorted().toArray();
    double[] scores = new double[ascending.length];
    Arrays.setAll(scores, i -> ascending[ascending.length - 1 - i]);
    return scores;
  }

  /** Returns the number of rows with labels that were added. */
  public long rows() {
    return rows;
  }

  /** Returns the number of rows without labels, which are ignored. */
  public long rowsWithoutLabels() {
    return rowsWithoutLabels;
  }

  /**
   * Returns the fraction of the first k outputs that are true labels; NaN if there are no rows.
   *
   * @param k at least 1; larger than {@code upTo} only if no ranking has more than {@code upTo}
   *     outputs
   * @throws IllegalArgumentException if k is less than 1, or if it needs outputs that were not
   *     looked at
   */
  public double precision(int k) {
    int place = place(k, longestRanking, "outputs");
    return precision[place] / rows * ((place + 1.0) / k);
  }

  /**
   * Returns the fraction of the true labels that are among the first k outputs; as {@link
   * #precision}.
   */
  public double recall(int k) {
    return recall[place(k, longestRanking, "outputs")] / rows;
  }

  /**
   * Returns the mean reciprocal rank (MRR): of 1 / the rank of the first true label among the first
   * k outputs, 0 if none is; as {@link #precision}.
   */
  public double reciprocalRank(int k) {
    return reciprocalRank[place(k, longestRanking, "outputs")] / rows;
  }

  /**
   * Returns the normalized discounted cumulative gain of the first k outputs; as {@link
   * #precision}. If k is larger than {@code upTo}, no row may have more than {@code upTo} labels.
   */
  public double ndcg(int k) {
    return ndcg[placeOfLabels(k)] / rows;
  }

  /**
   * Returns the precision with a larger weight for rare labels, divided by the largest possible
   * value; as {@link #ndcg}.
   *
   * @throws IllegalStateException if these metrics have no propensities
   */
  public double propensityScoredPrecision(int k) {
    if (propensities == null) {
      throw new IllegalStateException("propensities: none were given");
    }
    int place = placeOfLabels(k);
    return scored[place] / scoredAtMost[place];
  }

  private int placeOfLabels(int k) {
    place(k, longestRanking, "outputs");
    return place(k, mostLabels, "labels");
  }

  /**
   * Returns the place of sums at a rank; of the last rank if no row has more of what it depends on.
   */
  private int place(int k, int most, String what) {
    if (Check.atLeast(1, "k", k) > upTo && most > upTo) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "k: expected at most upTo = %d, as a row has %d %s, but was %d; take"
                  + " Metrics.upTo(%d)",
              upTo,
              most,
              what,
              k,
              k));
    }
    return Math.min(k, upTo) - 1;
  }

  /** Returns the metrics at the last rank. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "Metrics(%d rows; at %d: precision %.4f, recall %.4f, nDCG %.4f)",
        rows,
        upTo,
        precision(upTo),
        recall(upTo),
        ndcg(upTo));
  }
}
