// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * The scores of heads, added by a {@link Blend}. Searches are exact: no label below the first m of
 * each head has a higher score than the sum of the m-th scores. So the first m of each head get the
 * scores of the others as well, and m grows for rows where that bound is above the k-th best sum
 * (Fagin, Lotem and Naor, 2001: the threshold algorithm).
 */
final class BlendedScores implements LabelScores {
  /** Labels beyond twice those that are asked for, from each head at first. */
  private static final int MORE = 6;

  private static final int GROWTH = 4;

  private final SparseRows rows;
  private final List<Function<SparseRows, LabelScores>> heads;
  private final Blend blend;
  private final Labels labels;
  private final List<LabelScores> scores = new ArrayList<>();

  /**
   * Scores of rows.
   *
   * @param rows the caller's to close
   * @param heads each makes scores of rows
   * @param labels the names of rankings
   */
  BlendedScores(
      SparseRows rows, List<Function<SparseRows, LabelScores>> heads, Blend blend, Labels labels) {
    this.rows = rows;
    this.heads = heads;
    this.blend = blend;
    this.labels = labels;
    try {
      heads.forEach(head -> scores.add(head.apply(rows)));
    } catch (Throwable e) {
      close();
      throw e;
    }
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
    List<Ranking> rankings = scores.stream().map(head -> head.topK(m, allowed)).toList();
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
    double[][] ofHeads = new double[outputs.length][scores.size()];
    for (double[] ofOutput : ofHeads) {
      Arrays.fill(ofOutput, Double.NaN);
    }
    return new Row(outputs, ofHeads, new double[scores.size()]);
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
        put(rowsOf, head, scores.get(head).topK(most, Filter.only(only)));
      }
    }
  }

  @Override
  public Ranking topK(int k, Filter allowed) {
    int[][] outputs = new int[rows.rows()][];
    float[][] logProbabilities = new float[outputs.length][];
    // With one head, the next label shows whether more labels tie with the last one.
    long m = heads.size() == 1 ? k + 1L : 2L * k + MORE;
    addFirst(k, (int) Math.min(Integer.MAX_VALUE, m), allowed, outputs, logProbabilities);
    return Ranking.of(outputs, logProbabilities, labels);
  }

  /** Puts the first k of each row, found among the first m of each head or more. */
  private void addFirst(int k, int m, Filter allowed, int[][] outputs, float[][] logProbabilities) {
    List<Row> found = first(m, allowed);
    List<Integer> open = new ArrayList<>();
    for (int row = 0; row < found.size(); row++) {
      List<Answer> answers = answers(found.get(row), Double.NEGATIVE_INFINITY);
      List<Answer> best = answers.subList(0, Math.min(k, answers.size()));
      double bound = blend.score(found.get(row).bounds);
      // Others that are as likely may come first by their number.
      if (bound == Double.NEGATIVE_INFINITY
          || (best.size() == k && best.get(k - 1).score > bound)) {
        put(best, row, outputs, logProbabilities);
      } else {
        open.add(row);
      }
    }
    if (!open.isEmpty()) {
      int[] which = open.stream().mapToInt(Integer::intValue).toArray();
      int[][] further = new int[which.length][];
      float[][] furtherLogProbabilities = new float[which.length][];
      try (SparseRows others = rows.select(which);
          BlendedScores again = new BlendedScores(others, heads, blend, labels)) {
        int more = (int) Math.min(Integer.MAX_VALUE, (long) GROWTH * m);
        again.addFirst(k, more, allowed, further, furtherLogProbabilities);
      }
      for (int i = 0; i < which.length; i++) {
        outputs[which[i]] = further[i];
        logProbabilities[which[i]] = furtherLogProbabilities[i];
      }
    }
  }

  /** A label of a row. */
  private record Answer(int output, double score) {}

  /**
   * The labels of a row with at least some score, the likeliest first; those as likely as others by
   * their number.
   */
  private List<Answer> answers(Row row, double least) {
    return IntStream.range(0, row.outputs.length)
        .mapToObj(i -> new Answer(row.outputs[i], blend.score(row.ofHeads[i])))
        .filter(answer -> answer.score >= least)
        .sorted(Comparator.comparingDouble((Answer answer) -> -answer.score))
        .toList();
  }

  private void put(List<Answer> answers, int row, int[][] outputs, float[][] logProbabilities) {
    outputs[row] = new int[answers.size()];
    logProbabilities[row] = new float[answers.size()];
    for (int rank = 0; rank < answers.size(); rank++) {
      outputs[row][rank] = answers.get(rank).output;
      logProbabilities[row][rank] = blend.logProbability(answers.get(rank).score);
    }
  }

  /**
   * A label whose scores are below a bound has a score below the sum of the weights times the
   * bound. So a label that has the probability is one of those at the bound or above, of any head.
   */
  @Override
  public Ranking atLeast(double probability) {
    int[][] outputs = new int[rows.rows()][0];
    float[][] logProbabilities = new float[outputs.length][0];
    double least = blend.leastScore(probability);
    if (least <= 0) {
      double bound = least / blend.sumOfWeights();
      // A little less, as scores and probabilities are rounded.
      double ofHead = Math.max(Double.MIN_NORMAL, Math.exp(bound - 1e-5 * (1 - bound)));
      List<Row> found = union(scores.stream().map(head -> head.atLeast(ofHead)).toList());
      float logProbability = Prediction.logThreshold(probability);
      for (int row = 0; row < outputs.length; row++) {
        List<Answer> likely =
            answers(found.get(row), least).stream()
                .filter(answer -> blend.logProbability(answer.score) >= logProbability)
                .toList();
        put(likely, row, outputs, logProbabilities);
      }
    }
    return Ranking.of(outputs, logProbabilities, labels);
  }

  @Override
  public void close() {
    scores.forEach(LabelScores::close);
  }
}
