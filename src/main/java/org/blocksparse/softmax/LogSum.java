// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

/** The logarithm of a sum of which the logarithms of the summands come one after the other. */
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

  /** The logarithm of what was added; negative infinity if that is nothing. */
  double log() {
    return max + Math.log(sum);
  }
}
