// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.ranking.Filter;

/**
 * Examples that no head has learned from. They show whether a second head gains, and the blend of
 * heads is fitted to them.
 */
final class HeldOut implements AutoCloseable {
  /** Predictions of each head for an example. */
  private static final int FIRST_ANSWERS = 20;

  /** The k of nDCG@k, by which heads are compared. */
  private static final int RANKED = 5;

  private final List<NumberedExamples> batches;

  /**
   * Examples.
   *
   * @param batches closed along with this
   */
  HeldOut(List<NumberedExamples> batches) {
    this.batches = batches;
  }

  /**
   * Draws examples to hold out, each with all that equal it, so that none of these is learned. The
   * examples of a frequent text are drawn one by one: future examples have it, too, and it would be
   * a large part of those held out. A text is frequent if it has more than {@code sqrt(count)}
   * examples, and more than two: small sets would otherwise learn the answers of texts that occur
   * twice.
   *
   * @param firstOfEquals for each example the first that equals it
   * @param count the maximum number of examples
   */
  static BitSet draw(int[] firstOfEquals, int count, SplittableRandom random) {
    int[] sizes = new int[firstOfEquals.length];
    IntStream.of(firstOfEquals).forEach(first -> sizes[first]++);
    IntPredicate isCommon = e -> sizes[firstOfEquals[e]] > Math.max(2, Math.sqrt(count));
    int[] next = new int[firstOfEquals.length]; // of equal ones; itself: the last
    int[] last = new int[firstOfEquals.length];
    for (int e = 0; e < next.length; e++) {
      next[e] = e;
      if (firstOfEquals[e] < e) {
        next[last[firstOfEquals[e]]] = e;
      }
      last[firstOfEquals[e]] = e;
    }
    int[] order =
        IntStream.range(0, next.length)
            .filter(e -> firstOfEquals[e] == e || isCommon.test(e))
            .toArray();
    BitSet drawn = new BitSet(next.length);
    int left = count;
    for (int i = 0; i < order.length && left > 0; i++) {
      int at = i + random.nextInt(order.length - i);
      int e = order[at];
      order[at] = order[i];
      int size = isCommon.test(e) ? 1 : sizes[e];
      if (size <= left) {
        left -= size;
        for (int n = 0; n < size; n++, e = next[e]) {
          drawn.set(e);
        }
      }
    }
    return drawn;
  }

  /**
   * Predictions of the heads of a model for an example.
   *
   * @param right the labels of the example, ascending
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Answers(BlendedScores.Row row, int[] right) {
    private boolean isRight(int i) {
      return Arrays.binarySearch(right, row.outputs()[i]) >= 0;
    }

    /** The labels in the order of their scores, by those of all heads. */
    private int[] order(ToDoubleFunction<double[]> score) {
      double[] scores = Arrays.stream(row.ofHeads()).mapToDouble(score).toArray();
      return IntStream.range(0, scores.length)
          .boxed()
          .sorted(Comparator.comparingDouble(i -> -scores[i]))
          .mapToInt(Integer::intValue)
          .toArray();
    }

    /** nDCG@5 in that order. */
    private double ndcg(ToDoubleFunction<double[]> score) {
      int[] best = order(score);
      double gain = 0;
      double ideal = 0;
      for (int rank = 0; rank < RANKED; rank++) {
        double discount = 1 / Math.log(rank + 2);
        gain += rank < best.length && isRight(best[rank]) ? discount : 0;
        ideal += rank < right.length ? discount : 0;
      }
      return gain / ideal;
    }
  }

  /**
   * What a second head gains, in nDCG@5.
   *
   * @param mean over the examples
   * @param standardError of the mean; infinite if there are not two examples
   */
  record Gain(double mean, double standardError) {
    boolean isMeasured() {
      return Double.isFinite(standardError);
    }

    /** Whether it is more than chance makes. */
    boolean isLarge() {
      return mean > standardError;
    }

    @Override
    public String toString() {
      return String.format(Locale.ROOT, "%.4f, standard error %.4f", mean, standardError);
    }
  }

  /** The predictions of all heads for each example. */
  List<Answers> answers(Classifier model) {
    List<Answers> answers = new ArrayList<>();
    for (NumberedExamples batch : batches) {
      try (BlendedScores scores = model.blendedScores(batch.features())) {
        List<BlendedScores.Row> rows = scores.first(FIRST_ANSWERS, Filter.without());
        for (int row = 0; row < rows.size(); row++) {
          int[] right = IntStream.of(batch.labels().indices(row)).sorted().toArray();
          answers.add(new Answers(rows.get(row), right));
        }
      }
    }
    return answers;
  }

  /** The blend for answers. */
  static Blend blend(List<Answers> answers, int heads) {
    LogisticRegression samples = new LogisticRegression(heads);
    for (Answers each : answers) {
      for (int i = 0; i < each.row.outputs().length; i++) {
        samples.add(each.row.ofHeads()[i], each.isRight(i));
      }
    }
    return Blend.fit(samples);
  }

  /** The calibration of the probabilities of a blend. */
  static TopTwoCalibration calibration(List<Answers> answers, Blend blend) {
    double[][] probabilities = new double[answers.size()][];
    boolean[][] right = new boolean[answers.size()][];
    for (int e = 0; e < right.length; e++) {
      Answers each = answers.get(e);
      int[] order = each.order(blend::score);
      probabilities[e] =
          IntStream.of(order)
              .mapToDouble(i -> blend.logProbability(blend.score(each.row.ofHeads()[i])))
              .toArray();
      right[e] = new boolean[order.length];
      for (int rank = 0; rank < order.length; rank++) {
        right[e][rank] = each.isRight(order[rank]);
      }
    }
    return TopTwoCalibration.fit(probabilities, right);
  }

  /** The gain of two heads over one, by their answers to the same examples. */
  static Gain gain(List<Answers> ofOne, List<Answers> ofTwo) {
    Blend blend = blend(ofTwo, 2);
    double[] gains =
        IntStream.range(0, ofOne.size())
            .filter(e -> ofOne.get(e).right.length > 0)
            .mapToDouble(
                e -> ofTwo.get(e).ndcg(blend::score) - ofOne.get(e).ndcg(ofHeads -> ofHeads[0]))
            .toArray();
    double mean = Arrays.stream(gains).average().orElse(0);
    double squares = Arrays.stream(gains).map(gain -> (gain - mean) * (gain - mean)).sum();
    int n = gains.length;
    return new Gain(mean, n < 2 ? Double.POSITIVE_INFINITY : Math.sqrt(squares / n / (n - 1)));
  }

  @Override
  public void close() {
    batches.forEach(NumberedExamples::close);
  }
}
