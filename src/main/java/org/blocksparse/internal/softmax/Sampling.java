// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;

/**
 * Draws outputs from their distribution: a class, then an output of that class.
 *
 * <p>With a filter, a class is drawn as if all of it were allowed, if anything is. If what is drawn
 * in it is left out, the row tries again, and counts of that class from now on only what is
 * allowed. That is drawing with rejection from a distribution that lies nowhere below the right
 * one, and comes nearer to it with each class that is opened: what is accepted has exactly the
 * right distribution (Gilks and Wild, 1992, have the idea), and few classes are opened.
 */
public final class Sampling {
  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final OutputFilter filter;
  private final double temperature;
  private final RandomGenerator random;

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
    this.temperature = temperature;
    this.random = random;
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
      Rows bySlot = softmax.open(x, null, readRow, classOf, true, workspace);
      for (int a = 0; a < active.length; a++) {
        drawSlot(active[a], bySlot, a, byClass);
      }
      active = Arrays.stream(active).filter(state -> state.drawn < 0).toArray(State[]::new);
    }
    return Arrays.stream(states).mapToInt(state -> state.drawn).toArray();
  }

  private void drawClass(State state, Rows byClass) {
    double[] logs = state.logs != null ? state.logs : ofClasses(state, byClass);
    state.drawnClass = at(state, random.nextDouble(), logs);
  }

  /** The logarithms of what classes have, as far as they hold anything that is allowed. */
  private double[] ofClasses(State state, Rows byClass) {
    float[] logProbabilities = new float[table.classes()];
    byClass.get(state.row, 0, logProbabilities);
    double[] logs = new double[logProbabilities.length];
    for (int c = 0; c < logs.length; c++) {
      logs[c] = state.allowed.any(c) ? logProbabilities[c] / temperature : Double.NEGATIVE_INFINITY;
    }
    return logs;
  }

  private void drawSlot(State state, Rows bySlot, int request, Rows byClass) {
    int c = state.drawnClass;
    int[] members = table.members()[c];
    float[] logProbabilities = new float[members.length];
    bySlot.get(request, 0, logProbabilities);
    double[] all = new double[members.length];
    for (int slot = 0; slot < all.length; slot++) {
      all[slot] = logProbabilities[slot] / temperature;
    }
    double[] allowed = allowed(state, all);
    boolean certain = allowed == all || (state.exact != null && state.exact[c]);
    double logShare = certain ? 0 : logSum(allowed) - logSum(all);
    double share = Math.exp(logShare);
    double drawn = random.nextDouble();
    if (Double.isNaN(share)) {
      throw notNumbers(state);
    }
    if (certain || drawn < share) {
      // Given that it is below, it is as likely to be anywhere there.
      state.drawn = members[at(state, drawn / share, allowed)];
      return;
    }
    if (state.logs == null) {
      state.logs = ofClasses(state, byClass);
      state.exact = new boolean[table.classes()];
    }
    state.logs[c] += logShare;
    state.exact[c] = true;
  }

  private static double[] allowed(State state, double[] all) {
    if (state.allowed.all(state.drawnClass)) {
      return all;
    }
    double[] allowed = new double[all.length];
    Arrays.fill(allowed, Double.NEGATIVE_INFINITY);
    state.allowed.forEachRun(
        state.drawnClass,
        (begin, end) -> System.arraycopy(all, begin, allowed, begin, end - begin));
    return allowed;
  }

  private static double logSum(double[] logs) {
    LogSum sum = new LogSum();
    for (double log : logs) {
      sum.add(log);
    }
    return sum.log();
  }

  private static ArithmeticException notNumbers(State state) {
    return new ArithmeticException("row " + state.row + ": the probabilities are not numbers");
  }

  /** Where a number from [0, 1) falls among shares, of which the logarithms are given. */
  private static int at(State state, double drawn, double[] logs) {
    double max = Double.NEGATIVE_INFINITY;
    for (double log : logs) {
      max = Math.max(max, log);
    }
    if (max == Double.NEGATIVE_INFINITY) {
      throw new ArithmeticException(
          "row " + state.row + ": what the filter allows has no probability");
    }
    double[] shares = new double[logs.length];
    double sum = 0;
    for (int i = 0; i < shares.length; i++) {
      shares[i] = Math.exp(logs[i] - max);
      sum += shares[i];
    }
    if (!(sum > 0)) {
      throw notNumbers(state);
    }
    double left = drawn * sum;
    int last = 0;
    for (int i = 0; i < shares.length && left >= 0; i++) {
      if (shares[i] > 0) {
        last = i;
        left -= shares[i];
      }
    }
    return last;
  }
}
