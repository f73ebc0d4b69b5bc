// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.AllowedSlots;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.OutputFilter;

/**
 * Draws outputs from their distribution: a class, then an output of that class; for one call.
 *
 * <p>With a filter, a class is drawn as if all of it were allowed, if anything is. If the output
 * drawn in it is not allowed, the row tries again, and from then on counts only the allowed outputs
 * of that class. This is drawing with rejection from a distribution that lies nowhere below the
 * right one, and comes nearer to it with each class that is opened: what is accepted has exactly
 * the right distribution (Gilks and Wild, 1992, have the idea), and few classes are opened.
 */
final class Sampling {
  /**
   * Two floats that differ do so by 2<sup>-149</sup> or more: at this temperature all but the most
   * probable are practically impossible. A lower one would only let logarithms overflow.
   */
  private static final double LOWEST_TEMPERATURE = 0x1p-700;

  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final OutputFilter filter;
  private final double temperature;
  private final RandomGenerator random;

  /** The log probabilities of one distribution at a time. */
  private final float[] logProbabilities;

  private final double[] logs;
  private final double[] shares;

  /**
   * Creates a way to draw.
   *
   * @param temperature the divisor of logits, positive
   */
  public Sampling(
      TwoLevelSoftmax softmax,
      ClassTable table,
      OutputFilter filter,
      double temperature,
      RandomGenerator random) {
    this.softmax = softmax;
    this.table = table;
    this.filter = filter;
    this.temperature = Math.max(temperature, LOWEST_TEMPERATURE);
    this.random = random;
    int most = Math.max(table.classes(), table.slots());
    this.logProbabilities = new float[most];
    this.logs = new double[most];
    this.shares = new double[most];
  }

  /**
   * One row's draw. It does not keep the row's allowed outputs: where each row has its own list,
   * that takes a number for each class, and is found again as fast as a class is drawn.
   */
  private static final class Draw {
    /** The number of the row among those drawn at the same time. */
    final int at;

    /** The number of the row among all. */
    final int row;

    /** The logarithms of the classes' shares, once a class was opened in vain. */
    double[] logs;

    /** The classes that count only their allowed outputs. */
    boolean[] exact;

    int drawnClass;
    int drawn = -1;

    Draw(int at, int row) {
      this.at = at;
      this.row = row;
    }
  }

  /**
   * Returns an output for each row of x.
   *
   * @throws IllegalArgumentException if nothing is allowed in a row
   * @throws ArithmeticException if the probabilities of a row are not numbers, or if what is
   *     allowed has none
   */
  public int[] draw(Rows x, Workspace workspace) {
    OutputFilter.OfRow ofRow = filter.in(table);
    int[] drawn = new int[Math.toIntExact(x.count())];
    for (int row = 0; row < drawn.length; row++) {
      if (ofRow.of(row).none()) {
        throw new IllegalArgumentException("filter: allows no output in row " + row);
      }
    }
    int step = softmax.rowsAtOnce();
    for (int begin = 0; begin < drawn.length; begin += step) {
      Draw[] draws = new Draw[Math.min(step, drawn.length - begin)];
      for (int at = 0; at < draws.length; at++) {
        draws[at] = new Draw(at, begin + at);
      }
      draw(x.slice(begin, draws.length), draws, ofRow, workspace);
      for (Draw draw : draws) {
        drawn[draw.row] = draw.drawn;
      }
    }
    return drawn;
  }

  private void draw(Rows x, Draw[] draws, OutputFilter.OfRow ofRow, Workspace workspace) {
    Rows byClass = softmax.classes(x, true, workspace);
    Draw[] active = draws;
    while (active.length > 0) {
      for (Draw draw : active) {
        drawClass(draw, ofRow, byClass);
      }
      int[] readRow =
          active == draws ? null : Arrays.stream(active).mapToInt(draw -> draw.at).toArray();
      int[] classOf = Arrays.stream(active).mapToInt(draw -> draw.drawnClass).toArray();
      Rows bySlot = softmax.open(x, null, classOf.length, readRow, classOf, true, workspace);
      for (int a = 0; a < active.length; a++) {
        drawSlot(active[a], ofRow.of(active[a].row), bySlot, a, byClass);
      }
      active = Arrays.stream(active).filter(draw -> draw.drawn < 0).toArray(Draw[]::new);
    }
  }

  private void drawClass(Draw draw, OutputFilter.OfRow ofRow, Rows byClass) {
    double[] ofClasses = draw.logs;
    if (ofClasses == null) {
      ofClasses = logs;
      classes(draw, ofRow.of(draw.row), byClass, ofClasses);
    }
    draw.drawnClass = at(draw, random.nextDouble(), ofClasses, table.classes());
  }

  /** Computes the logarithms of the shares of classes that have allowed outputs. */
  private void classes(Draw draw, AllowedSlots allowed, Rows byClass, double[] into) {
    byClass.get(draw.at, 0, logProbabilities, table.classes());
    for (int c = 0; c < table.classes(); c++) {
      into[c] = allowed.any(c) ? logProbabilities[c] / temperature : Double.NEGATIVE_INFINITY;
    }
  }

  private void drawSlot(Draw draw, AllowedSlots slots, Rows bySlot, int request, Rows byClass) {
    int c = draw.drawnClass;
    int[] members = table.members()[c];
    int size = members.length;
    bySlot.get(request, 0, logProbabilities, size);
    for (int slot = 0; slot < size; slot++) {
      logs[slot] = logProbabilities[slot] / temperature;
    }
    double[] allowed = allowed(slots, c, logs, size);
    boolean certain = allowed == logs || (draw.exact != null && draw.exact[c]);
    double logShare = certain ? 0 : logSum(allowed, size) - logSum(logs, size);
    double share = Math.exp(logShare);
    double drawn = random.nextDouble();
    if (Double.isNaN(share)) {
      throw notNumbers(draw);
    }
    if (certain || drawn < share) {
      // Given that the number is below, it is uniform there.
      draw.drawn = members[at(draw, drawn / share, allowed, size)];
      return;
    }
    if (draw.logs == null) {
      draw.logs = new double[table.classes()];
      classes(draw, slots, byClass, draw.logs);
      draw.exact = new boolean[table.classes()];
    }
    draw.logs[c] += logShare;
    draw.exact[c] = true;
  }

  private static double[] allowed(AllowedSlots slots, int classNumber, double[] all, int size) {
    if (slots.all(classNumber)) {
      return all;
    }
    double[] allowed = new double[size];
    Arrays.fill(allowed, Double.NEGATIVE_INFINITY);
    slots.forEachRun(
        classNumber, (begin, end) -> System.arraycopy(all, begin, allowed, begin, end - begin));
    return allowed;
  }

  private static double logSum(double[] logs, int count) {
    LogSum sum = new LogSum();
    for (int i = 0; i < count; i++) {
      sum.add(logs[i]);
    }
    return sum.log();
  }

  private static ArithmeticException notNumbers(Draw draw) {
    return new ArithmeticException("row " + draw.row + ": the probabilities are not numbers");
  }

  /** Returns the place of a number from [0, 1) among the shares with these logarithms. */
  private int at(Draw draw, double drawn, double[] logs, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, logs[i]);
    }
    if (max == Double.NEGATIVE_INFINITY) {
      throw new ArithmeticException(
          "row " + draw.row + ": what the filter allows has no probability");
    }
    double sum = 0;
    for (int i = 0; i < count; i++) {
      shares[i] = Math.exp(logs[i] - max);
      sum += shares[i];
    }
    if (!(sum > 0)) {
      throw notNumbers(draw);
    }
    double left = drawn * sum;
    int last = 0;
    for (int i = 0; i < count && left >= 0; i++) {
      if (shares[i] > 0) {
        last = i;
        left -= shares[i];
      }
    }
    return last;
  }
}
