// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

/** The logarithm of a sum whose summands are added one by one, as logarithms. */
final class LogSum {
  private double max = Double.NEGATIVE_INFINITY;

  /** The sum divided by exp(max). */
  private double sum;

  /** Adds exp(log). NaN stays. */
  void add(double log) {
    if (log > max) {
      sum = sum * Math.exp(max - log) + 1;
      max = log;
    } else if (log != Double.NEGATIVE_INFINITY) {
      sum += Math.exp(log - max);
    }
  }

  /** Returns the logarithm of the sum; negative infinity if nothing was added. */
  double log() {
    return max + Math.log(sum);
  }
}
