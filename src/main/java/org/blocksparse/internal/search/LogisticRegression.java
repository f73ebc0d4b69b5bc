// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * Samples of numbers with an answer, right or wrong, and the weights that make the answers
 * likeliest, by Newton's method. The log odds of an answer are the weighted sum of its numbers, and
 * an intercept.
 *
 * <p>The numbers of all samples are in one array, sample by sample. A step costs time linear in the
 * samples and quadratic in the numbers of one ({@link Newton}).
 */
public final class LogisticRegression {
  /** The number of samples that the start counts as. */
  private static final double PRIOR = 1;

  private final int numbers;
  private double[] all = new double[1 << 10];
  private boolean[] right = new boolean[1 << 10];
  private int size;

  /** Starts without samples, each of which has {@code numbers} numbers. */
  public LogisticRegression(int numbers) {
    this.numbers = numbers;
  }

  /** Adds a sample, whose numbers begin somewhere in an array. */
  public void add(double[] from, int begin, boolean isRight) {
    if (size == right.length) {
      right = Arrays.copyOf(right, 2 * size);
    }
    if ((size + 1) * numbers > all.length) {
      all = Arrays.copyOf(all, Math.max(2 * all.length, (size + 1) * numbers));
    }
    System.arraycopy(from, begin, all, size * numbers, numbers);
    right[size++] = isRight;
  }

  /** Returns the number of samples. */
  public int size() {
    return size;
  }

  public boolean isRight(int s) {
    return right[s];
  }

  /** Replaces a number of a sample by another one. */
  public interface Change {
    double apply(int number, double value);
  }

  /** Returns the samples with other numbers. */
  public LogisticRegression changed(Change change) {
    LogisticRegression changed = new LogisticRegression(numbers);
    double[] sample = new double[numbers];
    for (int s = 0; s < size; s++) {
      for (int i = 0; i < numbers; i++) {
        sample[i] = change.apply(i, all[s * numbers + i]);
      }
      changed.add(sample, 0, right[s]);
    }
    return changed;
  }

  /** Returns the finite values of a number, over all samples. */
  public DoubleStream finite(int number) {
    return IntStream.range(0, size)
        .mapToDouble(s -> all[s * numbers + number])
        .filter(Double::isFinite);
  }

  /** Returns the weighted sum of the numbers of a sample. */
  public double sum(int s, double[] weights) {
    double sum = 0;
    for (int i = 0; i < numbers; i++) {
      sum += weights[i] * all[s * numbers + i];
    }
    return sum;
  }

  /**
   * Returns the weights, followed by the intercept.
   *
   * @param start the result without samples
   * @param uses which weights are fitted; others stay as in the start
   */
  public double[] fit(double[] start, boolean[] uses) {
    return Newton.minimum(
        start,
        (weights, equations) -> {
          double loss = loss(weights, start, equations);
          for (int i = 0; equations != null && i < numbers; i++) {
            if (!uses[i]) {
              Arrays.fill(equations[i], 0);
              equations[i][i] = 1;
            }
          }
          return loss;
        });
  }

  /** Returns the loss; adds to equations, unless they are null. */
  private double loss(double[] at, double[] start, double[][] equations) {
    int n = at.length;
    double loss = 0;
    for (int i = 0; i < n; i++) {
      loss += PRIOR * (at[i] - start[i]) * (at[i] - start[i]) / 2;
      if (equations != null) {
        equations[i][i] += PRIOR;
        equations[i][n] += PRIOR * (at[i] - start[i]);
      }
    }
    double[] x = new double[n];
    x[n - 1] = 1;
    for (int s = 0; s < size; s++) {
      System.arraycopy(all, s * numbers, x, 0, numbers);
      double logOdds = 0;
      for (int i = 0; i < n; i++) {
        logOdds += at[i] * x[i];
      }
      double wrong = right[s] ? -logOdds : logOdds;
      loss += Math.max(wrong, 0) + Math.log1p(Math.exp(-Math.abs(wrong)));
      if (equations != null) {
        double probability = 1 / (1 + Math.exp(-logOdds));
        double error = probability - (right[s] ? 1 : 0);
        double curvature = probability * (1 - probability);
        for (int i = 0; i < n; i++) {
          equations[i][n] += error * x[i];
          for (int j = 0; j < n; j++) {
            equations[i][j] += curvature * x[i] * x[j];
          }
        }
      }
    }
    return loss;
  }
}
