// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;

/**
 * The moved biases of a softmax: a class gets the total probability of its outputs, of which each
 * keeps its share.
 */
final class MovedSoftmaxBiases implements MovedBiases {
  private final Moves moves;
  private final SlotColumns b2;

  /**
   * The number of each old class that, added to b2, gives the logarithm of a probability at x = 0.
   */
  private final double[] shifts;

  /** The mean of these logarithms of each new class. */
  private final double[] bases;

  MovedSoftmaxBiases(Moves moves, SoftmaxStorage old) {
    this.moves = moves;
    this.b2 = new SlotColumns(old.b2(), 1, moves.from().slots());
    LogSum[] sums = new LogSum[moves.from().classes()];
    Arrays.setAll(sums, was -> new LogSum());
    for (int c = 0; c < moves.to().classes(); c++) {
      moves.forEach(b2, 0, c, (was, bias) -> sums[was].add(bias));
    }
    this.shifts = new double[sums.length];
    Arrays.setAll(
        shifts, was -> old.b1().getFloat(was) - (moves.kept(was) == 0 ? 0 : sums[was].log()));
    this.bases = new double[moves.to().classes()];
    for (int c = 0; c < bases.length; c++) {
      for (int i = 0; i < moves.sources(c).length; i++) {
        bases[c] += moves.weights(c)[i] * shifts[moves.sources(c)[i]];
      }
    }
  }

  @Override
  public float ofClass(int c) {
    LogSum sum = new LogSum();
    moves.forEach(b2, 0, c, (was, bias) -> sum.add(shifts[was] + bias));
    return (float) sum.log();
  }

  @Override
  public float ofOutput(float bias, int was, int c) {
    return bias + (float) (shifts[was] - bases[c]);
  }
}
