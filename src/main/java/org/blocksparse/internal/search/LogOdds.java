// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

/** The log odds of a probability p: log(p / (1 - p)). */
public final class LogOdds {
  private LogOdds() {}

  /**
   * Returns the logarithm of the probability that has some log odds, never positive; nothing
   * overflows.
   */
  public static double logProbability(double logOdds) {
    return Math.min(logOdds, 0) - Math.log1p(Math.exp(-Math.abs(logOdds)));
  }
}
