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
import java.util.stream.IntStream;
import org.blocksparse.ClassAssignment;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.Ranking;
import org.blocksparse.Workers;
import org.blocksparse.testing.Data.Numbers;

/**
 * A random layer with a batch, and all log probabilities that it gives. Numbers are small integers
 * times powers of two: products are exact whatever their shape, so a full sort has the same bits as
 * a search, and ties are everywhere.
 */
public final class RankingProblem implements AutoCloseable {
  /** What a row of x is; one problem has rows of all kinds that are asked for. */
  private enum Row {
    INTEGERS,
    /** All logits are biases, most of them equal. */
    ZEROS,
    /** One of a few outputs has all of the probability. */
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

  /** Makes a layer of its parameters. */
  public interface Maker<L> {
    L build(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2);
  }

  /** What a layer is made of, and rows for it. */
  public static final class Layer {
    private final int features;
    private final int batch;
    private final ClassAssignment assignment;
    private final float[] W1;
    private final float[] b1;
    private final float[] W2;
    private final float[] b2;
    private final float[] x;

    public Layer(int batch, int classes, int more, int peak, int spread, Data data) {
      this.batch = batch;
      this.features = 1 + data.below(5);
      int[] classOf = new int[classes + more];
      for (int output = 0; output < classOf.length; output++) {
        classOf[output] = output < classes ? output : data.below(classes);
      }
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
          secondLevel[i] = Math.scalb(secondLevel[i], spread);
        }
      }
      this.x = data.floats(Numbers.SMALL_INTEGERS, (long) batch * features);
      for (int row = 0; row < batch; row++) {
        Row kind = data.oneOf(Row.values());
        kind.fill(x, row * features, (row + 1) * features);
      }
    }

    public int features() {
      return features;
    }

    public int outputs() {
      return assignment.outputs();
    }

    public ClassAssignment assignment() {
      return assignment;
    }

    /** (batch, features), in a new tensor. */
    public FloatTensor x() {
      return FloatTensor.of(x, batch, features);
    }

    /** A layer of new tensors. */
    public <L> L build(Maker<L> maker) {
      int classes = assignment.classCount();
      int slots = assignment.slots();
      return maker.build(
          FloatTensor.of(W1, features, classes),
          FloatTensor.of(b1, classes),
          FloatTensor.of(W2, classes, features, slots),
          FloatTensor.of(b2, classes, slots));
    }
  }

  public final HierarchicalSoftmax layer;
  public final FloatTensor x;
  public final float[][] logProbabilities;

  /** The classes and the rows that {@link #poison} has made NaN. */
  private final BitSet poisoned = new BitSet();

  private final BitSet poisonedRows = new BitSet();

  public RankingProblem(
      Workers workers, int batch, int classes, int more, int peak, int spread, Data data) {
    Layer parts = new Layer(batch, classes, more, peak, spread, data);
    int outputs = parts.outputs();
    layer =
        parts.build(
            HierarchicalSoftmax.builder(parts.features(), outputs)
                    .classes(parts.assignment())
                    .workers(workers)
                ::build);
    x = parts.x();
    logProbabilities = new float[batch][outputs];
    compute();
  }

  private void compute() {
    try (FloatTensor all = layer.logProbabilities(x)) {
      for (int row = 0; row < logProbabilities.length; row++) {
        int outputs = logProbabilities[row].length;
        all.get((long) row * outputs, logProbabilities[row], 0, outputs);
      }
    }
  }

  /** Makes some rows NaN, and something in some classes, which makes all of their outputs so. */
  public void poison(Data data) {
    for (int c = 0; c < layer.classCount(); c++) {
      if (data.below(5) == 0) {
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

  /** The log probability of a class, by the float64 sum of its logits. */
  private double[] logOfClasses(int row) {
    double[] logits = new double[layer.classCount()];
    for (int c = 0; c < logits.length; c++) {
      logits[c] = layer.b1().get(c);
      for (int f = 0; f < layer.features(); f++) {
        logits[c] += (double) x.get(row, f) * layer.W1().get(f, c);
      }
    }
    double all = logSum(logits);
    return Arrays.stream(logits).map(logit -> logit - all).toArray();
  }

  /** The outputs of a row that are not NaN, unless all are, best first. */
  private int[] rest(int row) {
    return Arrays.stream(sorted(row))
        .filter(output -> !poisoned.get(layer.assignment().classOf(output)))
        .toArray();
  }

  /** How many of the likeliest outputs, of those that are not NaN, have this probability. */
  public int fewest(int row, double mass) {
    int fewest = 0;
    double sum = 0;
    for (int output : rest(row)) {
      if (sum < mass) {
        sum += largest(logProbabilities[row][output]);
        fewest++;
      }
    }
    return fewest;
  }

  /** The largest probability that a log probability is the rounded logarithm of. */
  public static double largest(float logProbability) {
    return Math.exp(((double) logProbability + Math.nextUp(logProbability)) / 2);
  }

  /**
   * A row without NaN where it has to look has the ranking of all that is not NaN.
   *
   * @param size how many of those are asked for
   * @param bound the least log probability that is looked for, whatever is found
   */
  public void checkPoisoned(Ranking ranking, int row, int size, double bound) {
    if (poisonedRows.get(row)) {
      assertFalse(ranking.isDefined(row), "row " + row + " is NaN");
      return;
    }
    int[] rest = rest(row);
    double worst = rest.length < size ? Double.NEGATIVE_INFINITY : bound;
    if (size > 0 && rest.length >= size) {
      worst = Math.max(worst, logProbabilities[row][rest[size - 1]]);
    }
    double room = 1e-4 * (1 + Math.abs(worst));
    double[] logs = logOfClasses(row);
    double likeliest =
        poisoned.stream().mapToDouble(c -> logs[c]).max().orElse(Double.NEGATIVE_INFINITY);
    if (ranking.isDefined(row)) {
      assertFalse(likeliest > worst + room, "row " + row + ": a class with NaN was passed over");
      assertArrayEquals(Arrays.copyOf(rest, size), ranking.outputs(row), "row " + row);
    } else {
      assertFalse(poisoned.isEmpty(), "row " + row + " has no NaN");
      assertEquals(0, ranking.size(row));
    }
  }

  /** As {@link #checkDrawn} at temperature 1: of a class without NaN, in a row without. */
  public void checkPoisonedDraw(int row, int output, double ofClass, double ofSlot) {
    int c = layer.assignment().classOf(output);
    assertFalse(poisonedRows.get(row), "row " + row + " is NaN");
    assertFalse(poisoned.get(c), "row " + row + ": drawn from class " + c + ", which has NaN");
    assertHolds(logOfClasses(row), c, ofClass, 1, row, "class of " + output);
    assertHolds(logsOf(row, c), layer.assignment().slotOf(output), ofSlot, 1, row, "" + output);
  }

  /**
   * Whether there is a row without a right draw: it is NaN, or a class with NaN is where the number
   * drawn falls.
   *
   * @param ofClasses the numbers drawn for the classes, of as many rows as there were before
   */
  public boolean mayRefuseToDraw(List<Double> ofClasses) {
    for (int row = 0; row < Math.min(ofClasses.size(), logProbabilities.length); row++) {
      double drawn = ofClasses.get(row);
      double[] logs = logOfClasses(row);
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

  /** All outputs of a row, best first. */
  public int[] sorted(int row) {
    return sorted(logProbabilities[row]);
  }

  /** The same of given values. */
  public static int[] sorted(float[] values) {
    return IntStream.range(0, values.length)
        .boxed()
        .sorted(Comparator.<Integer>comparingDouble(o -> -values[o]).thenComparingInt(o -> o))
        .mapToInt(o -> o)
        .toArray();
  }

  /** The row's ranking is the first {@code size} of all outputs, and its certificate is right. */
  public void check(Ranking ranking, int row, int size) {
    assertArrayEquals(Arrays.copyOf(sorted(row), size), ranking.outputs(row), "row " + row);
    for (int rank = 0; rank < size; rank++) {
      float expected = logProbabilities[row][ranking.output(row, rank)];
      assertEquals(expected, ranking.logProbability(row, rank), 0, "rank " + rank);
    }
    // Whatever was found is in a class that was opened: among the likeliest that many.
    double[] ofClass = new double[layer.classCount()];
    for (int output = 0; output < layer.outputs(); output++) {
      ofClass[layer.assignment().classOf(output)] += Math.exp(logProbabilities[row][output]);
    }
    int opened = ranking.openedClasses(row);
    assertTrue(1 <= opened && opened <= ofClass.length, "opened: " + opened);
    double[] ascending = Arrays.stream(ofClass).sorted().toArray();
    double least = ascending[ascending.length - opened];
    for (int output : ranking.outputs(row)) {
      double itsClass = ofClass[layer.assignment().classOf(output)];
      assertTrue(itsClass >= least * (1 - 1e-5), opened + " opened, but not that of " + output);
    }
  }

  /** The output lies where the numbers drawn fall in the sums of its class and of its slot. */
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
    // What is likely at all has a log near 0 at its level, known to a few millionths.
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
