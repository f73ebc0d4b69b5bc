// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;

/** Draws from rows of log probabilities. */
final class Draw {
  private final Rows rows;
  private final double temperature;
  private final RandomGenerator random;
  private final float[] logProbabilities;

  /**
   * A way to draw.
   *
   * @param most elements of a row that are ever drawn from
   * @param temperature what log probabilities are divided by, positive
   */
  Draw(Rows rows, int most, double temperature, RandomGenerator random) {
    this.rows = rows;
    this.temperature = temperature;
    this.random = random;
    this.logProbabilities = new float[most];
  }

  /**
   * One of the first {@code count} elements of a row.
   *
   * @throws ArithmeticException if they are not numbers
   */
  int from(int row, int count) {
    rows.get(row, 0, logProbabilities);
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, logProbabilities[i]);
    }
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += share(i, max);
    }
    if (!(sum > 0)) {
      throw new ArithmeticException("row " + row + ": the probabilities are not numbers");
    }
    double left = random.nextDouble() * sum;
    int last = 0;
    for (int i = 0; i < count && left >= 0; i++) {
      double share = share(i, max);
      if (share > 0) {
        last = i;
        left -= share;
      }
    }
    return last;
  }

  private double share(int index, double max) {
    return Math.exp((logProbabilities[index] - max) / temperature);
  }
}
