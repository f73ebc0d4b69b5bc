// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;

/**
 * Draws outputs from their distribution: a class, then an output of that class; for one call.
 *
 * <p>With a filter, a class is drawn as if all of it were allowed, if anything is. If what is drawn
 * in it is left out, the row tries again, and counts of that class from now on only what is
 * allowed. That is drawing with rejection from a distribution that lies nowhere below the right
 * one, and comes nearer to it with each class that is opened: what is accepted has exactly the
 * right distribution (Gilks and Wild, 1992, have the idea), and few classes are opened.
 */
public final class Sampling {
  /**
   * Two floats that differ do so by 2<sup>-149</sup> or more: at this temperature all but the
   * likeliest are as good as impossible. A lower one would change nothing but let logarithms
   * overflow.
   */
  private static final double LOWEST_TEMPERATURE = 0x1p-700;

  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final OutputFilter filter;
  private final double temperature;
  private final RandomGenerator random;

  /** One distribution at a time: log probabilities as they are, what they become, and shares. */
  private final float[] logProbabilities;

  private final double[] logs;
  private final double[] shares;

  /**
   * A way to draw.
   *
   * @param temperature what logits are divided by, positive
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

  /** One row's draw. */
  private static final class State {
    final int row;
    final AllowedSlots allowed;

    /** The logarithms of what classes count, once one was opened in vain. */
    double[] logs;

    /** The classes that count exactly what is allowed of them. */
    boolean[] exact;

    int drawnClass;
    int drawn = -1;

    State(int row, AllowedSlots allowed) {
      this.row = row;
      this.allowed = allowed;
    }
  }

  /**
   * An output for each row of x.
   *
   * @throws IllegalArgumentException if nothing is allowed in a row
   * @throws ArithmeticException if the probabilities of a row are not numbers, or if what is
   *     allowed has none
   */
  public int[] draw(Rows x, Workspace workspace) {
    OutputFilter.OfRow ofRow = filter.in(table);
    State[] states = new State[Math.toIntExact(x.count())];
    Arrays.setAll(states, row -> new State(row, ofRow.of(row)));
    for (State state : states) {
      if (state.allowed.none()) {
        throw new IllegalArgumentException("filter: allows no output in row " + state.row);
      }
    }
    Rows byClass = softmax.classes(x, true, workspace);
    State[] active = states;
    while (active.length > 0) {
      for (State state : active) {
        drawClass(state, byClass);
      }
      int[] readRow =
          active == states ? null : Arrays.stream(active).mapToInt(state -> state.row).toArray();
      int[] classOf = Arrays.stream(active).mapToInt(state -> state.drawnClass).toArray();
      Rows bySlot = softmax.open(x, null, classOf.length, readRow, classOf, true, workspace);
      for (int a = 0; a < active.length; a++) {
        drawSlot(active[a], bySlot, a, byClass);
      }
      active = Arrays.stream(active).filter(state -> state.drawn < 0).toArray(State[]::new);
    }
    return Arrays.stream(states).mapToInt(state -> state.drawn).toArray();
  }

  private void drawClass(State state, Rows byClass) {
    double[] ofClasses = state.logs;
    if (ofClasses == null) {
      ofClasses = logs;
      classes(state, byClass, ofClasses);
    }
    state.drawnClass = at(state, random.nextDouble(), ofClasses, table.classes());
  }

  /** The logarithms of what classes have, as far as they hold anything that is allowed. */
  private void classes(State state, Rows byClass, double[] into) {
    byClass.get(state.row, 0, logProbabilities, table.classes());
    for (int c = 0; c < table.classes(); c++) {
      into[c] = state.allowed.any(c) ? logProbabilities[c] / temperature : Double.NEGATIVE_INFINITY;
    }
  }

  private void drawSlot(State state, Rows bySlot, int request, Rows byClass) {
    int c = state.drawnClass;
    int[] members = table.members()[c];
    int size = members.length;
    bySlot.get(request, 0, logProbabilities, size);
    for (int slot = 0; slot < size; slot++) {
      logs[slot] = logProbabilities[slot] / temperature;
    }
    double[] allowed = allowed(state, logs, size);
    boolean certain = allowed == logs || (state.exact != null && state.exact[c]);
    double logShare = certain ? 0 : logSum(allowed, size) - logSum(logs, size);
    double share = Math.exp(logShare);
    double drawn = random.nextDouble();
    if (Double.isNaN(share)) {
      throw notNumbers(state);
    }
    if (certain || drawn < share) {
      // Given that it is below, it is as likely to be anywhere there.
      state.drawn = members[at(state, drawn / share, allowed, size)];
      return;
    }
    if (state.logs == null) {
      state.logs = new double[table.classes()];
      classes(state, byClass, state.logs);
      state.exact = new boolean[table.classes()];
    }
    state.logs[c] += logShare;
    state.exact[c] = true;
  }

  private static double[] allowed(State state, double[] all, int size) {
    if (state.allowed.all(state.drawnClass)) {
      return all;
    }
    double[] allowed = new double[size];
    Arrays.fill(allowed, Double.NEGATIVE_INFINITY);
    state.allowed.forEachRun(
        state.drawnClass,
        (begin, end) -> System.arraycopy(all, begin, allowed, begin, end - begin));
    return allowed;
  }

  private static double logSum(double[] logs, int count) {
    LogSum sum = new LogSum();
    for (int i = 0; i < count; i++) {
      sum.add(logs[i]);
    }
    return sum.log();
  }

  private static ArithmeticException notNumbers(State state) {
    return new ArithmeticException("row " + state.row + ": the probabilities are not numbers");
  }

  /** Where a number from [0, 1) falls among shares, of which the first logarithms are given. */
  private int at(State state, double drawn, double[] logs, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, logs[i]);
    }
    if (max == Double.NEGATIVE_INFINITY) {
      throw new ArithmeticException(
          "row " + state.row + ": what the filter allows has no probability");
    }
    double sum = 0;
    for (int i = 0; i < count; i++) {
      shares[i] = Math.exp(logs[i] - max);
      sum += shares[i];
    }
    if (!(sum > 0)) {
      throw notNumbers(state);
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
