// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;

/** Draws outputs from their distribution: a class, then an output of that class. */
public final class Sampling {
  private final TwoLevelSoftmax softmax;
  private final ClassTable table;
  private final double temperature;
  private final RandomGenerator random;

  /**
   * A way to draw.
   *
   * @param temperature what logits are divided by, positive
   */
  public Sampling(
      TwoLevelSoftmax softmax, ClassTable table, double temperature, RandomGenerator random) {
    this.softmax = softmax;
    this.table = table;
    this.temperature = temperature;
    this.random = random;
  }

  /**
   * An output for each row of x.
   *
   * @throws ArithmeticException if the probabilities of a row are not numbers
   */
  public int[] draw(Rows x, Workspace workspace) {
    int[] drawn = new int[Math.toIntExact(x.count())];
    int[] classOf = new int[drawn.length];
    Rows byClass = softmax.classes(x, true, workspace);
    float[] logProbabilities = new float[table.classes()];
    for (int r = 0; r < drawn.length; r++) {
      byClass.get(r, 0, logProbabilities);
      classOf[r] = draw(r, logProbabilities, table.classes());
    }
    Rows bySlot = softmax.open(x, null, null, classOf, true, workspace);
    logProbabilities = new float[table.slots()];
    for (int r = 0; r < drawn.length; r++) {
      bySlot.get(r, 0, logProbabilities);
      int[] members = table.members()[classOf[r]];
      drawn[r] = members[draw(r, logProbabilities, members.length)];
    }
    return drawn;
  }

  /** One of the first {@code count} elements. */
  private int draw(int row, float[] logProbabilities, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, logProbabilities[i]);
    }
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += share(logProbabilities[i], max);
    }
    if (!(sum > 0)) {
      throw new ArithmeticException("row " + row + ": the probabilities are not numbers");
    }
    double left = random.nextDouble() * sum;
    int last = 0;
    for (int i = 0; i < count && left >= 0; i++) {
      double share = share(logProbabilities[i], max);
      if (share > 0) {
        last = i;
        left -= share;
      }
    }
    return last;
  }

  private double share(float logProbability, double max) {
    return Math.exp((logProbability - max) / temperature);
  }
}
