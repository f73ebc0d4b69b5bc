// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;

/**
 * The softmax of one row of logits, in double.
 *
 * <p>One of the largest logits is left out of the sum of the exponentials, so that its relative
 * error is small however close to 1 a probability is. Elsewhere only numbers of one sign are added.
 *
 * @param max the largest logit; NaN if one is NaN
 * @param rest the sum of exp(logit - max) over all logits but one of the largest, which has 1
 * @param logSum log(1 + rest)
 */
public record RowSoftmax(double max, double rest, double logSum) {
  /** Returns the softmax of the first {@code count} elements of a row. */
  public static RowSoftmax of(Rows logits, long row, int count) {
    int largest = 0;
    double max = Double.NEGATIVE_INFINITY;
    for (int q = 0; q < count; q++) {
      double logit = logits.get(row, q);
      largest = logit > max ? q : largest;
      max = Math.max(max, logit);
    }
    double rest = Double.isFinite(max) ? 0 : Double.NaN; // infinity - infinity is undefined
    for (int q = 0; q < count; q++) {
      rest += q == largest ? 0 : Math.exp(logits.get(row, q) - max);
    }
    return new RowSoftmax(max, rest, Math.log1p(rest));
  }

  public double probability(double logit) {
    return Math.exp(logit - max) / (1 + rest);
  }

  public double logProbability(double logit) {
    return logit - max - logSum;
  }

  /** Returns the difference of the probability to 1: that of all others. */
  public double lacking(double logit) {
    return (1 - Math.exp(logit - max) + rest) / (1 + rest);
  }
}
