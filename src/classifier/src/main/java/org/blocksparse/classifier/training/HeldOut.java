// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.HeadRows;
import org.blocksparse.classifier.Heads;
import org.blocksparse.classifier.NumberedExamples;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Ranking;

/**
 * Examples from which no head has learned. They show whether a second head gains, and the sum of
 * heads is fitted to them.
 */
final class HeldOut implements AutoCloseable {
  /** The k of nDCG@k, by which heads are compared. */
  private static final int RANKED = 5;

  /** The most examples whose answers are timed. */
  private static final int MOST_TIMED = 500;

  /** The rounds over these examples; all but the last let the JVM compile. */
  private static final int TIMED_ROUNDS = 10;

  private final List<NumberedExamples> batches;
  private final int[] units;
  private final FeatureVocabulary vocabulary;

  private HeldOut(List<NumberedExamples> batches, int[] units, FeatureVocabulary vocabulary) {
    this.batches = batches;
    this.units = units;
    this.vocabulary = vocabulary;
  }

  /**
   * Holds examples.
   *
   * @param units for each example, a number that those have which were {@linkplain #units drawn
   *     together}
   * @param vocabulary the vocabulary of the heads
   * @param batch makes the examples from a number, inclusive, to another one, exclusive
   */
  static HeldOut of(
      int[] units,
      FeatureVocabulary vocabulary,
      BiFunction<Integer, Integer, NumberedExamples> batch) {
    HeldOut examples = new HeldOut(new ArrayList<>(), units, vocabulary);
    try {
      for (int begin = 0; begin < units.length; begin += NumberedExamples.BATCH) {
        int end = Math.min(units.length, begin + NumberedExamples.BATCH);
        examples.batches.add(batch.apply(begin, end));
      }
      return examples;
    } catch (Throwable e) {
      examples.close();
      throw e;
    }
  }

  /**
   * Returns the examples that are drawn together, by the first of them: those that are equal. The
   * examples of a frequent text are drawn one by one: future examples have it, too, and it would be
   * a large part of those held out. A text is frequent if it has more than {@code sqrt(count)}
   * examples, and more than two: small sets would otherwise learn the answers of texts that occur
   * twice.
   *
   * @param firstOfEquals for each example the first that equals it
   * @param count the maximum number of examples that are held out
   */
  static int[] units(int[] firstOfEquals, int count) {
    int[] sizes = sizes(firstOfEquals);
    return IntStream.range(0, firstOfEquals.length)
        .map(e -> sizes[firstOfEquals[e]] > Math.max(2, Math.sqrt(count)) ? e : firstOfEquals[e])
        .toArray();
  }

  private static int[] sizes(int[] firsts) {
    int[] sizes = new int[firsts.length];
    IntStream.of(firsts).forEach(first -> sizes[first]++);
    return sizes;
  }

  /**
   * Draws folds of whole {@link #units}. The first may be empty; then there are no others.
   *
   * @param count the maximum number of examples of a fold
   * @param folds the maximum number of folds
   */
  static List<BitSet> draw(int[] units, int count, int folds, SplittableRandom random) {
    int[] sizes = sizes(units);
    int[] next = new int[units.length]; // the next of the same unit; itself for the last
    int[] last = new int[units.length];
    for (int e = 0; e < next.length; e++) {
      next[e] = e;
      if (units[e] < e) {
        next[last[units[e]]] = e;
      }
      last[units[e]] = e;
    }
    int[] order = IntStream.range(0, next.length).filter(e -> units[e] == e).toArray();
    List<BitSet> drawn = Stream.generate(BitSet::new).limit(folds).toList();
    int[] left = new int[folds];
    Arrays.fill(left, count);
    for (int i = 0; i < order.length && left[folds - 1] > 0; i++) {
      int at = i + random.nextInt(order.length - i);
      int e = order[at];
      order[at] = order[i];
      int size = sizes[e];
      int fold = 0;
      while (fold < folds && left[fold] < size) {
        fold++;
      }
      if (fold < folds) {
        left[fold] -= size;
        for (int n = 0; n < size; n++, e = next[e]) {
          drawn.get(fold).set(e);
        }
      }
    }
    int used = (int) drawn.stream().filter(fold -> !fold.isEmpty()).count(); // they come first
    return drawn.subList(0, Math.max(1, used));
  }

  /**
   * The gain of a second head, in nDCG@5.
   *
   * @param mean over the examples
   * @param standardError the standard error of the mean, where examples of a unit depend on each
   *     other; infinite if there are not two units
   */
  record Gain(double mean, double standardError) {
    /** Returns the gain of values over others, each of an example of a unit. */
    static Gain of(List<Double> values, List<Double> over, List<Integer> units) {
      return of(
          IntStream.range(0, units.size()).mapToObj(e -> values.get(e) - over.get(e)).toList(),
          units);
    }

    /** Returns the gain by those of examples, each of a unit. */
    static Gain of(List<Double> gains, List<Integer> units) {
      int n = gains.size();
      double mean = gains.stream().mapToDouble(Double::doubleValue).average().orElse(0);
      Map<Integer, Double> deviations = new TreeMap<>();
      for (int e = 0; e < n; e++) {
        deviations.merge(units.get(e), gains.get(e) - mean, Double::sum);
      }
      int m = deviations.size();
      double squares = deviations.values().stream().mapToDouble(d -> d * d).sum();
      return new Gain(
          mean, m < 2 ? Double.POSITIVE_INFINITY : Math.sqrt(squares * m / (m - 1)) / n);
    }

    boolean isMeasured() {
      return Double.isFinite(standardError);
    }

    /** Returns whether it is more than chance makes. */
    boolean isLarge() {
      return mean > standardError;
    }

    @Override
    public String toString() {
      return String.format(Locale.ROOT, "%.4f, standard error %.4f", mean, standardError);
    }
  }

  /**
   * Examples, and heads that have not learned from them.
   *
   * @param heads closed with this, as the examples are
   */
  record Scored(Mixture heads, HeldOut examples) implements AutoCloseable {
    @Override
    public void close() {
      examples.close();
      heads.close();
    }
  }

  /** Returns the examples with heads that have not learned from them. */
  Scored scoredBy(Mixture heads) {
    return new Scored(heads, this);
  }

  /**
   * Returns heads with the weights and the calibration for the examples; unchanged without
   * examples.
   *
   * @throws ArithmeticException if weights of a head are not finite
   */
  Mixture fit(Mixture heads) {
    return fit(heads, List.of(scoredBy(heads)));
  }

  /**
   * Returns heads with the weights and the calibration for examples, each scored by heads that have
   * not learned from it; unchanged without examples.
   *
   * @throws ArithmeticException if weights of a head are not finite
   */
  static Mixture fit(Mixture heads, List<Scored> all) {
    List<HeadRows> rows = new ArrayList<>();
    List<Mixture.Fold> folds = new ArrayList<>();
    try {
      for (Scored each : all) {
        for (NumberedExamples batch : each.examples.batches) {
          HeadRows x = HeadRows.of(each.heads, batch.features(), each.examples.vocabulary);
          rows.add(x);
          folds.add(new Mixture.Fold(each.heads, x.rows(), batch.labels()));
        }
      }
      return folds.isEmpty() ? heads : heads.fit(folds);
    } catch (IllegalArgumentException e) { // a score is NaN
      throw new ArithmeticException(Heads.notFinite().getMessage());
    } finally {
      rows.forEach(HeadRows::close);
    }
  }

  /** Adds the answers of a model on the examples. */
  void addTo(Answers answers, TrainedClassifier model) {
    batches.forEach(batch -> answers.add(model, batch));
  }

  /** Returns the gain of a model over another one, on examples that have a label. */
  Gain gain(Mixture of, Mixture over) {
    return Gain.of(ndcg(of), ndcg(over), units());
  }

  /** Returns the units of the examples that have a label. */
  List<Integer> units() {
    List<Integer> unitOf = new ArrayList<>();
    int first = 0;
    for (NumberedExamples batch : batches) {
      for (int row = 0; row < batch.size(); row++) {
        if (batch.labels().size(row) > 0) {
          unitOf.add(units[first + row]);
        }
      }
      first += batch.size();
    }
    return unitOf;
  }

  /** Returns the nDCG@5 of each example that has a label. */
  List<Double> ndcg(Mixture heads) {
    List<Double> all = new ArrayList<>();
    for (NumberedExamples batch : batches) {
      Ranking ranking = rank(heads, batch.features());
      for (int row = 0; row < batch.size(); row++) {
        int[] right = IntStream.of(batch.labels().indices(row)).sorted().toArray();
        if (right.length > 0) {
          all.add(ndcg(ranking.outputs(row), right));
        }
      }
    }
    return all;
  }

  /** Returns the median time from the features of an example to an answer, in microseconds. */
  double microsecondsOfAnswer(Mixture heads) {
    long[] times = {};
    for (int round = 0; round < TIMED_ROUNDS; round++) {
      times =
          batches.stream()
              .flatMap(
                  batch ->
                      IntStream.range(0, batch.size())
                          .mapToObj(row -> batch.features().slice(row, row + 1)))
              .limit(MOST_TIMED)
              .mapToLong(row -> nanoseconds(heads, row))
              .sorted()
              .toArray();
    }
    return times[times.length / 2] * 1e-3;
  }

  private long nanoseconds(Mixture heads, SparseRows row) {
    try (row) {
      long begin = System.nanoTime();
      rank(heads, row);
      return System.nanoTime() - begin;
    }
  }

  private Ranking rank(Mixture heads, SparseRows features) {
    try (HeadRows x = HeadRows.of(heads, features, vocabulary)) {
      return Heads.requireDefined(heads.topK(x.rows(), RANKED));
    }
  }

  /**
   * Returns nDCG@5.
   *
   * @param right ascending
   */
  private static double ndcg(int[] best, int[] right) {
    double gain = 0;
    double ideal = 0;
    for (int rank = 0; rank < RANKED; rank++) {
      double discount = 1 / Math.log(rank + 2);
      boolean isRight = rank < best.length && Arrays.binarySearch(right, best[rank]) >= 0;
      gain += isRight ? discount : 0;
      ideal += rank < right.length ? discount : 0;
    }
    return gain / ideal;
  }

  @Override
  public void close() {
    batches.forEach(NumberedExamples::close);
  }
}
