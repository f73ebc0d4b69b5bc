// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import org.blocksparse.FloatTensor;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.Data.Numbers;

/**
 * A random layer with a batch, and all its log probabilities. Numbers are small integers times
 * powers of two: products are exact whatever their shape, so a full sort has the same bits as a
 * search, and ties are everywhere.
 */
public final class RankingProblem<L extends TwoLevelLayer<?>> implements AutoCloseable {
  /**
   * The sizes of a problem, and its kernels.
   *
   * @param more outputs beyond one for each class
   * @param peak the factor of class biases
   * @param spread exponent of two that the second level is multiplied by: log probabilities to
   *     -10^8
   */
  public record Sizes(
      KernelsUnderTest kernels, int batch, int classes, int more, int peak, int spread) {
    /** Returns random sizes, of up to that many rows. */
    public static Arbitrary<Sizes> of(int mostRows) {
      return Combinators.combine(
              Arbitraries.of(KernelsUnderTest.all()),
              Arbitraries.integers().between(0, mostRows),
              Arbitraries.integers().between(1, 40),
              Arbitraries.integers().between(0, 80),
              Arbitraries.integers().between(0, 3),
              Arbitraries.of(-6, 0, 0, 0, 3, 10, 20))
          .as(Sizes::new);
    }

    /** Returns the same with another spread. */
    public Sizes withSpread(int other) {
      return new Sizes(kernels, batch, classes, more, peak, other);
    }
  }

  /** A kind of row of x; one problem has rows of all requested kinds. */
  private enum Row {
    INTEGERS,
    /** Zeros: all logits are biases, most of them equal. */
    ZEROS,
    /** Large numbers: one of a few outputs has all of the probability. */
    LARGE;

    void fill(float[] x, int begin, int end) {
      for (int i = begin; i < end; i++) {
        x[i] =
            switch (this) {
              case INTEGERS -> x[i];
              case ZEROS -> 0;
              case LARGE -> 1024 * x[i];
            };
      }
    }
  }

  /** Makes a layer from its parameters. */
  private interface Maker<L> {
    L build(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2);
  }

  /** The parameters of a layer, and rows for it. */
  private static final class Layer {
    private final int features;
    private final int batch;
    private final ClassAssignment assignment;
    private final float[] W1;
    private final float[] b1;
    private final float[] W2;
    private final float[] b2;
    private final float[] x;

    Layer(Sizes sizes, Data data) {
      int classes = sizes.classes;
      int peak = sizes.peak;
      this.batch = sizes.batch;
      this.features = 1 + data.below(5);
      int[] classOf = data.classOf(classes, sizes.more);
      this.assignment = ClassAssignment.of(classOf);
      int slots = assignment.slots();
      this.b1 = data.floats(Numbers.SMALL_INTEGERS, classes);
      for (int c = 0; c < classes; c++) {
        b1[c] *= peak; // 0: classes are equally likely
      }
      this.W1 =
          peak > 0
              ? data.floats(Numbers.SMALL_INTEGERS, (long) features * classes)
              : new float[features * classes];
      this.W2 = data.floats(Numbers.SMALL_INTEGERS, (long) classes * features * slots);
      this.b2 = data.floats(Numbers.SMALL_INTEGERS, (long) classes * slots);
      for (float[] secondLevel : new float[][] {W2, b2}) {
        for (int i = 0; i < secondLevel.length; i++) {
          secondLevel[i] = Math.scalb(secondLevel[i], sizes.spread);
        }
      }
      this.x = data.floats(Numbers.SMALL_INTEGERS, (long) batch * features);
      for (int row = 0; row < batch; row++) {
        Row kind = data.oneOf(Row.values());
        kind.fill(x, row * features, (row + 1) * features);
      }
    }

    int features() {
      return features;
    }

    int outputs() {
      return assignment.outputs();
    }

    ClassAssignment assignment() {
      return assignment;
    }

    /** Returns x, (batch, features), in a new tensor. */
    FloatTensor x() {
      return FloatTensor.of(x, batch, features);
    }

    /** Returns a layer of new tensors. */
    <L> L build(Maker<L> maker) {
      int classes = assignment.classCount();
      int slots = assignment.slots();
      return maker.build(
          FloatTensor.of(W1, features, classes),
          FloatTensor.of(b1, classes),
          FloatTensor.of(W2, classes, features, slots),
          FloatTensor.of(b2, classes, slots));
    }
  }

  /**
   * A search for the likeliest outputs: up to k of them, up to a mass, and none less likely than a
   * threshold.
   */
  public record Wanted(int k, double mass, float threshold) {
    public static Wanted best(int k) {
      return new Wanted(k, Double.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY);
    }

    public static Wanted ofMass(double mass) {
      return new Wanted(Integer.MAX_VALUE, mass, Float.NEGATIVE_INFINITY);
    }

    public static Wanted atLeast(double probability) {
      return new Wanted(Integer.MAX_VALUE, Double.POSITIVE_INFINITY, (float) Math.log(probability));
    }

    /**
     * Returns the size of the ranking.
     *
     * @param logProbabilities the log probabilities of outputs, best first
     */
    int size(float[] logProbabilities) {
      double sum = 0;
      int size = 0;
      while (size < Math.min(k, logProbabilities.length)
          && sum < mass
          && logProbabilities[size] >= threshold) {
        sum += largest(logProbabilities[size++]);
      }
      return size;
    }

    /** Returns a bound below which other outputs do not change the ranking. */
    double least(float[] logProbabilities) {
      int size = size(logProbabilities);
      boolean enough = size == k || sum(logProbabilities, size) >= mass;
      return enough ? logProbabilities[size - 1] : threshold;
    }

    private static double sum(float[] logProbabilities, int size) {
      double sum = 0;
      for (int rank = 0; rank < size; rank++) {
        sum += largest(logProbabilities[rank]);
      }
      return sum;
    }

    /**
     * Returns the maximum number of classes that a search may open if it needs that many one by
     * one.
     */
    int mostOpened(int needed, int classes) {
      if (threshold > Float.NEGATIVE_INFINITY) {
        return needed; // the classes are known from the beginning
      }
      // Each round opens as many classes as before; from 16 on, it may open all the rest at once.
      return needed > 16 ? classes : Math.max(needed, 2 * (needed - 1));
    }
  }

  public final L layer;
  public final FloatTensor x;
  public final float[][] logProbabilities;

  /** The log probabilities of the classes of each row, by float64 sums of their logits. */
  private final double[][] logOfClasses;

  private final UnaryOperator<double[]> link;

  /** The classes and the rows that {@link #poison} has made NaN. */
  private final BitSet poisoned = new BitSet();

  private final BitSet poisonedRows = new BitSet();

  private RankingProblem(Layer parts, L layer, UnaryOperator<double[]> link) {
    this.layer = layer;
    this.link = link;
    this.x = parts.x();
    this.logProbabilities = new float[parts.batch][parts.outputs()];
    this.logOfClasses = new double[parts.batch][];
    compute();
  }

  /** Returns a problem of a softmax. */
  public static RankingProblem<HierarchicalSoftmax> softmax(Sizes sizes, Data data) {
    Layer parts = new Layer(sizes, data);
    return new RankingProblem<>(
        parts,
        parts.build(
            HierarchicalSoftmax.builder(parts.features(), parts.outputs())
                    .classes(parts.assignment())
                    .workers(sizes.kernels.workers())
                ::build),
        RankingProblem::logSoftmax);
  }

  /** Returns a problem of a label tree. */
  public static RankingProblem<LabelTree> tree(Sizes sizes, Data data) {
    Layer parts = new Layer(sizes, data);
    return new RankingProblem<>(
        parts,
        parts.build(
            LabelTree.builder(parts.features(), parts.outputs())
                    .classes(parts.assignment())
                    .workers(sizes.kernels.workers())
                ::build),
        RankingProblem::logSigmoids);
  }

  private static double[] logSoftmax(double[] logits) {
    double all = logSum(logits);
    return Arrays.stream(logits).map(logit -> logit - all).toArray();
  }

  private static double[] logSigmoids(double[] logits) {
    return Arrays.stream(logits)
        .map(z -> Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z))))
        .toArray();
  }

  private void compute() {
    try (FloatTensor all = layer.logProbabilities(x)) {
      for (int row = 0; row < logProbabilities.length; row++) {
        int outputs = logProbabilities[row].length;
        all.get((long) row * outputs, logProbabilities[row], 0, outputs);
        logOfClasses[row] = link.apply(logitsOfClasses(row));
      }
    }
  }

  private double[] logitsOfClasses(int row) {
    double[] logits = new double[layer.classCount()];
    for (int c = 0; c < logits.length; c++) {
      logits[c] = layer.b1().get(c);
      for (int f = 0; f < layer.features(); f++) {
        logits[c] += (double) x.get(row, f) * layer.W1().get(f, c);
      }
    }
    return logits;
  }

  /** Makes some rows NaN, and some elements of many classes or of few. */
  public void poison(Data data) {
    int rarity = data.oneOf(5, 40);
    for (int c = 0; c < layer.classCount(); c++) {
      if (data.below(rarity) == 0) {
        poisoned.set(c);
        int slot = data.below(layer.assignment().size(c));
        if (data.below(2) == 0) {
          layer.b2().set(Float.NaN, c, slot);
        } else {
          layer.W2().set(Float.NaN, c, data.below(layer.features()), slot);
        }
      }
    }
    for (int row = 0; row < logProbabilities.length; row++) {
      if (data.below(5) == 0) {
        poisonedRows.set(row);
        x.set(Float.NaN, row, data.below(layer.features()));
      }
    }
    compute();
  }

  /** Returns the outputs of a row whose classes are not poisoned, best first. */
  private int[] rest(int row) {
    return Arrays.stream(sorted(row))
        .filter(output -> !poisoned.get(layer.assignment().classOf(output)))
        .toArray();
  }

  private float[] logProbabilities(int row, int[] outputs) {
    float[] values = new float[outputs.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = logProbabilities[row][outputs[i]];
    }
    return values;
  }

  /** Returns the largest probability whose rounded logarithm is the given one. */
  public static double largest(float logProbability) {
    return Math.exp(((double) logProbability + Math.nextUp(logProbability)) / 2);
  }

  /** Returns the error bound of a logarithm of that size. */
  private static double room(double log) {
    return Double.isInfinite(log) ? 0 : 1e-4 * (1 + Math.abs(log));
  }

  /**
   * Returns the number of classes that a search needs if it opens one after the other, the
   * likeliest first; with those as likely as the last, which may come before it.
   */
  private int needed(int row, Wanted wanted) {
    double[] logs = logOfClasses[row];
    int[] rest = rest(row);
    double[] descending = Arrays.stream(logs).map(log -> -log).sorted().map(log -> -log).toArray();
    int needed = 0;
    while (needed < descending.length) {
      double from = needed == 0 ? Double.POSITIVE_INFINITY : descending[needed - 1];
      double least =
          wanted.least(
              logProbabilities(
                  row,
                  Arrays.stream(rest)
                      .filter(output -> logs[layer.assignment().classOf(output)] >= from)
                      .toArray()));
      if (descending[needed] < least - room(least)) {
        break;
      }
      double next = descending[needed];
      while (needed < descending.length && descending[needed] >= next - room(next)) {
        needed++;
      }
    }
    return needed;
  }

  /**
   * Checks that a row without NaN in the classes it needs has the ranking of all that is not NaN,
   * and that a row without a ranking has met a NaN in a class it needs.
   */
  public void checkPoisoned(Ranking ranking, int row, Wanted wanted) {
    if (poisonedRows.get(row)) {
      assertFalse(ranking.isDefined(row), "row " + row + " is NaN");
      return;
    }
    checkOpened(ranking, row, wanted);
    double[] logs = logOfClasses[row];
    double likeliest =
        poisoned.stream().mapToDouble(c -> logs[c]).max().orElse(Double.NEGATIVE_INFINITY);
    int[] rest = rest(row);
    if (ranking.isDefined(row)) {
      float[] ofRest = logProbabilities(row, rest);
      double least = wanted.least(ofRest);
      assertFalse(likeliest > least + room(least), "row " + row + ": NaN was passed over");
      assertRanks(ranking, row, Arrays.copyOf(rest, wanted.size(ofRest)));
    } else {
      double opened = leastOpened(ranking, row);
      assertTrue(
          likeliest >= opened - room(opened), "row " + row + ": no class that was opened has NaN");
      assertEquals(0, ranking.size(row));
    }
  }

  /** Returns the log probability of the last opened class. */
  private double leastOpened(Ranking ranking, int row) {
    double[] ascending = Arrays.stream(logOfClasses[row]).sorted().toArray();
    int opened = ranking.openedClasses(row);
    return opened == 0 ? Double.POSITIVE_INFINITY : ascending[ascending.length - opened];
  }

  private void checkOpened(Ranking ranking, int row, Wanted wanted) {
    int opened = ranking.openedClasses(row);
    int most = wanted.mostOpened(needed(row, wanted), layer.classCount());
    assertTrue(opened <= most, "row " + row + ": opened " + opened + " classes, not " + most);
  }

  /** Asserts that the row ranks these outputs in this order. */
  public void assertRanks(Ranking ranking, int row, int[] expected) {
    assertTrue(ranking.isDefined(row));
    assertArrayEquals(expected, ranking.outputs(row), "row " + row);
    assertArrayEquals(
        logProbabilities(row, expected), ranking.logProbabilities(row), 0, "row " + row);
  }

  /**
   * Checks a draw at temperature 1, like {@link #checkDrawn}: of a class without NaN, in a row
   * without NaN.
   */
  public void checkPoisonedDraw(int row, int output, double ofClass, double ofSlot) {
    int c = layer.assignment().classOf(output);
    assertFalse(poisonedRows.get(row), "row " + row + " is NaN");
    assertFalse(poisoned.get(c), "row " + row + ": drawn from class " + c + ", which has NaN");
    assertHolds(logOfClasses[row], c, ofClass, 1, row, "class of " + output);
    assertHolds(logsOf(row, c), layer.assignment().slotOf(output), ofSlot, 1, row, "" + output);
  }

  /**
   * Returns whether a row may have no valid draw: the row is NaN, or the number drawn falls on a
   * class with NaN.
   *
   * @param ofClasses the numbers drawn for the classes, of as many rows as there were before
   */
  public boolean mayRefuseToDraw(List<Double> ofClasses) {
    for (int row = 0; row < Math.min(ofClasses.size(), logProbabilities.length); row++) {
      double drawn = ofClasses.get(row);
      double[] logs = logOfClasses[row];
      double before = 0;
      for (int c = 0; c < logs.length; c++) {
        double after = before + Math.exp(logs[c]);
        if (poisoned.get(c) && before - 1e-4 <= drawn && drawn <= after + 1e-4) {
          return true;
        }
        before = after;
      }
    }
    return !poisonedRows.isEmpty();
  }

  /** Returns all outputs of a row, best first. */
  public int[] sorted(int row) {
    float[] values = logProbabilities[row];
    return IntStream.range(0, values.length)
        .boxed()
        .sorted(Comparator.<Integer>comparingDouble(o -> -values[o]).thenComparingInt(o -> o))
        .mapToInt(o -> o)
        .toArray();
  }

  /**
   * Checks that the row's ranking is the beginning of all sorted outputs, and that its certificate
   * is right.
   */
  public void check(Ranking ranking, int row, Wanted wanted) {
    int[] sorted = sorted(row);
    int size = wanted.size(logProbabilities(row, sorted));
    assertRanks(ranking, row, Arrays.copyOf(sorted, size));
    checkOpened(ranking, row, wanted);
    // Every found output is in an opened class, which is among the likeliest.
    double least = leastOpened(ranking, row);
    for (int output : ranking.outputs(row)) {
      double itsClass = logOfClasses[row][layer.assignment().classOf(output)];
      assertTrue(itsClass >= least - room(least), "the class of " + output + " was not opened");
    }
  }

  /**
   * Checks that the output lies where the random numbers fall in the sums of its class and of its
   * slot.
   */
  public void checkDrawn(int row, int output, double ofClass, double ofSlot, double temperature) {
    ClassAssignment assignment = layer.assignment();
    int c = assignment.classOf(output);
    double[] logOfClass = new double[assignment.classCount()];
    for (int k = 0; k < logOfClass.length; k++) {
      logOfClass[k] = logSum(logsOf(row, k));
    }
    assertHolds(logOfClass, c, ofClass, temperature, row, "class of " + output);
    assertHolds(logsOf(row, c), assignment.slotOf(output), ofSlot, temperature, row, "" + output);
  }

  private double[] logsOf(int row, int c) {
    double[] logs = new double[layer.assignment().size(c)];
    for (int slot = 0; slot < logs.length; slot++) {
      logs[slot] = logProbabilities[row][layer.assignment().output(c, slot)];
    }
    return logs;
  }

  private static double logSum(double[] logs) {
    double max = Arrays.stream(logs).max().getAsDouble();
    return max + Math.log(Arrays.stream(logs).map(log -> Math.exp(log - max)).sum());
  }

  private static void assertHolds(
      double[] logs, int index, double drawn, double temperature, int row, String what) {
    double all = logSum(Arrays.stream(logs).map(log -> log / temperature).toArray());
    double before = 0;
    for (int i = 0; i < index; i++) {
      before += Math.exp(logs[i] / temperature - all);
    }
    double after = before + Math.exp(logs[index] / temperature - all);
    // A likely output has a log near 0 at its level, which is known to a few millionths.
    double room = 1e-4;
    assertTrue(
        before - room <= drawn && drawn <= after + room,
        "row %d: %s drawn by %s, which is not in [%s, %s]"
            .formatted(row, what, drawn, before, after));
    assertTrue(after > before, "row " + row + ": " + what + " is impossible");
  }

  @Override
  public void close() {
    layer.close();
    x.close();
  }
}
