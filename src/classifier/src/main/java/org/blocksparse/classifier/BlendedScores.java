// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** The scores of heads, added by a {@link Blend}. */
final class BlendedScores implements LabelScores {
  private final SparseRows rows;
  private final Blend blend;

  /** The heads with the weights of the blend. */
  private final Mixture sum;

  private final Labels labels;
  private final List<Function<SparseRows, LabelScores>> heads;

  /**
   * Scores of rows.
   *
   * @param rows the caller's to close
   * @param heads each makes scores of rows
   * @param blend null, as the sum: only {@link #first} is called
   * @param sum the heads with the weights of the blend
   * @param labels the names of rankings
   */
  BlendedScores(
      SparseRows rows,
      List<Function<SparseRows, LabelScores>> heads,
      Blend blend,
      Mixture sum,
      Labels labels) {
    this.rows = rows;
    this.heads = heads;
    this.blend = blend;
    this.sum = sum;
    this.labels = labels;
  }

  /**
   * Labels of a row.
   *
   * @param outputs ascending
   * @param ofHeads the scores of each, by head
   * @param bounds no other label has a higher score of a head
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Row(int[] outputs, double[][] ofHeads, double[] bounds) {}

  /**
   * The first m labels of each head with their scores of all heads.
   *
   * @throws InvalidInputException if scores are NaN
   */
  List<Row> first(int m, Filter allowed) {
    List<Ranking> rankings =
        IntStream.range(0, heads.size()).mapToObj(head -> topK(head, m, allowed)).toList();
    List<Row> found = union(rankings);
    for (int row = 0; row < found.size(); row++) {
      for (int head = 0; head < rankings.size(); head++) {
        int size = rankings.get(head).size(row);
        // Where there are fewer, these are all.
        found.get(row).bounds[head] =
            size < m ? Double.NEGATIVE_INFINITY : rankings.get(head).logProbability(row, size - 1);
      }
    }
    return found;
  }

  private Ranking topK(int head, int k, Filter allowed) {
    try (LabelScores ofHead = heads.get(head).apply(rows)) {
      return ofHead.topK(k, allowed);
    }
  }

  /** The labels in any ranking, of which there is one for each head, with their scores of all. */
  private List<Row> union(List<Ranking> rankings) {
    List<Row> found = new ArrayList<>();
    for (int row = 0; row < rows.rows(); row++) {
      int each = row;
      int[] all =
          rankings.stream()
              .flatMapToInt(ranking -> IntStream.of(ranking.outputs(each)))
              .sorted()
              .toArray();
      int size = 0;
      for (int output : all) {
        if (size == 0 || output > all[size - 1]) {
          all[size++] = output;
        }
      }
      found.add(emptyRow(Arrays.copyOf(all, size)));
    }
    for (int head = 0; head < rankings.size(); head++) {
      put(found, head, rankings.get(head));
      complete(found, head);
    }
    return found;
  }

  private Row emptyRow(int[] outputs) {
    double[][] ofHeads = new double[outputs.length][heads.size()];
    for (double[] ofOutput : ofHeads) {
      Arrays.fill(ofOutput, Double.NaN);
    }
    return new Row(outputs, ofHeads, new double[heads.size()]);
  }

  /** Puts scores of a head into rows. */
  private static void put(List<Row> rows, int head, Ranking ranking) {
    Classifier.requireDefined(ranking);
    for (int r = 0; r < rows.size(); r++) {
      Row row = rows.get(r);
      for (int rank = 0; rank < ranking.size(r); rank++) {
        int i = Arrays.binarySearch(row.outputs, ranking.output(r, rank));
        row.ofHeads[i][head] = ranking.logProbability(r, rank);
      }
    }
  }

  /** Puts the scores of a head that are missing into rows. */
  private void complete(List<Row> rowsOf, int head) {
    List<int[]> missing = new ArrayList<>();
    int most = 0;
    for (Row row : rowsOf) {
      int[] ofRow =
          IntStream.range(0, row.outputs.length)
              .filter(i -> Double.isNaN(row.ofHeads[i][head]))
              .map(i -> row.outputs[i])
              .toArray();
      missing.add(ofRow);
      most = Math.max(most, ofRow.length);
    }
    if (most > 0) {
      try (SparseRows only = SparseRows.of(missing)) {
        put(rowsOf, head, topK(head, most, Filter.only(only)));
      }
    }
  }

  @Override
  public Ranking topK(int k, Filter allowed) {
    return calibrated(sum.topK(List.of(rows), k, allowed), Float.NEGATIVE_INFINITY);
  }

  @Override
  public Ranking atLeast(double probability) {
    double least = Math.min(1, blend.leastScore(probability)); // no sum is above 0
    // A little less, as sums are rounded.
    float rounded = (float) (least - 1e-6 * (1 + Math.abs(least)));
    Ranking found = sum.atLeastScore(List.of(rows), rounded, Filter.without());
    return calibrated(found, Prediction.logThreshold(probability));
  }

  /** The probabilities of sums, of at least some logarithm. */
  private Ranking calibrated(Ranking sums, float least) {
    Classifier.requireDefined(sums);
    int[][] outputs = new int[sums.batch()][];
    float[][] logProbabilities = new float[outputs.length][];
    for (int row = 0; row < outputs.length; row++) {
      float[] all = sums.logProbabilities(row);
      int kept = 0;
      for (float score : all) {
        float logProbability = blend.logProbability(score);
        if (logProbability < least) {
          break; // so are all others
        }
        all[kept++] = logProbability;
      }
      outputs[row] = Arrays.copyOf(sums.outputs(row), kept);
      logProbabilities[row] = Arrays.copyOf(all, kept);
    }
    return Ranking.of(outputs, logProbabilities, labels);
  }

  @Override
  public void close() {}
}
