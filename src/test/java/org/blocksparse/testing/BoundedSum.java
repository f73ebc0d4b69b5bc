// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.blocksparse.testing.Bounded.U;

/** Sums of products of an exact and an inexact factor. */
final class BoundedSum {
  private final int roundings;
  private final Bounded sum;

  BoundedSum(int roundings, long... shape) {
    this.roundings = roundings;
    this.sum = Bounded.zeros(shape);
  }

  void add(int at, double exact, double inexact, double bound) {
    sum.values()[at] += exact * inexact;
    sum.bounds()[at] +=
        Math.abs(exact) * (bound + roundings * U * (Math.abs(inexact) + bound)) + Float.MIN_VALUE;
  }

  Bounded result() {
    return sum;
  }
}
