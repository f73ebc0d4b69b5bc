// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Trains linear models of yes or no on the same rows, one after the other: L2-regularized support
 * vector machines with squared hinge loss, by dual coordinate descent with shrinking (Hsieh, Chang,
 * Lin, Keerthi and Sundararajan, 2008), as LIBLINEAR's solver 1 does.
 *
 * <pre>{@code
 * minimise over w, b:  (|w|^2 + b^2) / 2 + sum over rows i of C_i max(0, 1 - y_i (w . x_i + b))^2
 * }</pre>
 *
 * <p>Not safe for use by several threads.
 */
final class DualCoordinateDescent {
  /** The maximum number of passes of the training of a model. */
  static final int MOST_PASSES = 1000;

  /** The {@linkplain #train excess} with which a model may stop earlier. */
  static final double FAIR_EXCESS = 0.1;

  private static final double SMALLEST_GRADIENT = 1e-12;

  private final SparseMatrix x;
  private final double[] costs;
  private final double tolerance;

  /** 1 / (2 C_i) of each row, which the squared loss adds to the diagonal of the dual. */
  private final double[] added;

  /** The square of the length of each row, with that of the bias feature, 1. */
  private final double[] squares;

  private final double[] alpha;

  /** 1 for each row of the output, -1 for others. */
  private final byte[] sign;

  private final int[] order;
  private final double[] weights;
  private double bias;
  private long random;

  /**
   * Prepares rows to train on.
   *
   * @param columns the columns of x
   * @param costs C_i of each row, positive
   * @param tolerance the largest difference of projected gradients of the dual at the end; smaller
   *     if the excess is larger than {@link #FAIR_EXCESS}
   */
  DualCoordinateDescent(SparseMatrix x, int columns, double[] costs, double tolerance) {
    int rows = x.rows();
    this.x = x;
    this.costs = costs;
    this.tolerance = tolerance;
    this.added = new double[rows];
    this.squares = new double[rows];
    this.alpha = new double[rows];
    this.sign = new byte[rows];
    this.order = new int[rows];
    this.weights = new double[columns];
    for (int row = 0; row < rows; row++) {
      squares[row] = x.squaredNorm(row) + 1;
    }
  }

  /** Returns the weights of the last model. */
  double[] weights() {
    return weights;
  }

  /** Returns the bias of the last model. */
  double bias() {
    return bias;
  }

  /**
   * Trains a model.
   *
   * @param positives the rows whose answer is yes
   * @param without rows that are left out; the costs of the others grow in proportion, so that
   *     their sum is that of all: margins are those of a model of all rows
   * @param seed the seed of the order of the rows
   * @return the excess: an upper bound on how far the objective is above its minimum, relative to
   *     it. It may be infinite
   */
  double train(BitSet positives, BitSet without, long seed) {
    random = seed;
    Arrays.fill(weights, 0);
    Arrays.fill(alpha, 0);
    bias = 0;
    Arrays.fill(sign, (byte) -1);
    positives.stream().forEach(row -> sign[row] = 1);
    int rows = 0;
    double kept = 0;
    for (int row = without.nextClearBit(0); row < x.rows(); row = without.nextClearBit(row + 1)) {
      order[rows++] = row;
      kept += costs[row];
    }
    double share = kept / Arrays.stream(costs).sum();
    for (int i = 0; i < rows; i++) {
      added[order[i]] = share / (2 * costs[order[i]]);
    }
    // Rows from {@code active} on are left out: their alpha is 0, and their gradient clearly
    // positive.
    int active = rows;
    double shrinkAbove = Double.POSITIVE_INFINITY;
    double apart = tolerance;
    for (int pass = 0; pass < MOST_PASSES; pass++) {
      double largest = Double.NEGATIVE_INFINITY;
      double smallest = Double.POSITIVE_INFINITY;
      for (int i = 0; i < active; i++) {
        swap(i, i + below(active - i));
      }
      for (int i = 0; i < active; i++) {
        int row = order[i];
        double before = alpha[row];
        double gradient = sign[row] * margin(row) - 1 + before * added[row];
        if (!Double.isFinite(gradient)) {
          return Double.POSITIVE_INFINITY; // only while weights are finite: see rowBeyondFloats
        }
        if (before == 0 && gradient > shrinkAbove) {
          swap(i--, --active);
          continue;
        }
        double projected = before == 0 && gradient > 0 ? 0 : gradient;
        if (projected > largest) {
          largest = projected;
        }
        if (projected < smallest) {
          smallest = projected;
        }
        if (projected > SMALLEST_GRADIENT || projected < -SMALLEST_GRADIENT) {
          double after = before - gradient / (squares[row] + added[row]);
          alpha[row] = after > 0 ? after : 0;
          add(row, sign[row] * (alpha[row] - before));
        }
      }
      if (largest - smallest > apart) {
        shrinkAbove = largest > 0 ? largest : Double.POSITIVE_INFINITY;
      } else if (active < rows) {
        active = rows; // runs once more with all rows
        shrinkAbove = Double.POSITIVE_INFINITY;
      } else {
        double excess = excess(rows);
        if (excess <= FAIR_EXCESS) {
          return excess;
        }
        apart /= 2;
      }
    }
    return excess(rows);
  }

  /** Compares the objective with that of the dual, which is below the minimum. */
  private double excess(int rows) {
    double norm = bias * bias;
    for (double weight : weights) {
      norm += weight * weight;
    }
    double primal = norm / 2;
    double dual = -norm / 2;
    for (int i = 0; i < rows; i++) {
      int row = order[i];
      double loss = Math.max(0, 1 - sign[row] * margin(row));
      primal += loss * loss / (2 * added[row]);
      dual += alpha[row] - alpha[row] * alpha[row] * added[row] / 2;
    }
    return primal <= dual ? 0 : dual > 0 ? primal / dual - 1 : Double.POSITIVE_INFINITY;
  }

  /** Returns a random number below a bound, by a linear congruential generator (Knuth's MMIX). */
  private int below(int bound) {
    random = random * 6364136223846793005L + 1442695040888963407L;
    return (int) (((random >>> 32) * bound) >>> 32);
  }

  private void swap(int i, int j) {
    int row = order[i];
    order[i] = order[j];
    order[j] = row;
  }

  /**
   * Returns the row with the largest part in a weight of the last model, or its bias, that
   * overflows a float; -1 if there is none.
   */
  int rowBeyondFloats() {
    if (Math.abs(bias) <= Float.MAX_VALUE
        && Arrays.stream(weights).allMatch(weight -> Math.abs(weight) <= Float.MAX_VALUE)) {
      return -1;
    }
    int found = 0;
    double largest = 0;
    for (int row = 0; row < x.rows(); row++) {
      double size = 1; // the square of the bias feature
      for (int entry = x.offsets()[row]; entry < x.offsets()[row + 1]; entry++) {
        size = Math.max(size, Math.abs(x.values()[entry]));
      }
      if (alpha[row] * size > largest) {
        largest = alpha[row] * size;
        found = row;
      }
    }
    return found;
  }

  /** Sets weights of the last model that are nearer to 0 than a threshold to 0. */
  void prune(double threshold) {
    for (int column = 0; column < weights.length; column++) {
      if (Math.abs(weights[column]) < threshold) {
        weights[column] = 0;
      }
    }
  }

  /** Returns w . x + b of a row. */
  double margin(int row) {
    int[] columns = x.columns();
    float[] values = x.values();
    double sum = bias;
    for (int entry = x.offsets()[row], end = x.offsets()[row + 1]; entry < end; entry++) {
      sum += weights[columns[entry]] * values[entry];
    }
    return sum;
  }

  private void add(int row, double factor) {
    int[] columns = x.columns();
    float[] values = x.values();
    bias += factor;
    for (int entry = x.offsets()[row], end = x.offsets()[row + 1]; entry < end; entry++) {
      weights[columns[entry]] += factor * values[entry];
    }
  }
}
