// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.internal.search.LogOdds.logProbability;

import org.blocksparse.internal.memory.Storage;

/**
 * The moved biases of a label tree. The outputs from one class are present with
 *
 * <pre>{@code
 * P(old class) * (1 - product over its outputs of (1 - P(output | old class)))
 * }</pre>
 *
 * <p>if it is a part of that class, and with P(old class) if it is all of it; and a new class is
 * present if what came from one of its sources is: both as if all were independent. Training finds
 * out how they are not. An output then keeps its probability, P(old class) * P(output | old class),
 * which is now P(new class) * P(output | new class).
 */
final class MovedTreeBiases implements MovedBiases {
  /**
   * The largest logit that an output gets where it had a smaller one. The only output of a class
   * would have an infinite logit.
   */
  private static final double MOST = 3;

  private final Storage b1;

  /** The logarithms of the probabilities that each new class is present, and that it is not. */
  private final double[] there;

  private final double[] absent;

  MovedTreeBiases(Moves moves, SoftmaxStorage old) {
    this.b1 = old.b1();
    int classes = moves.to().classes();
    this.there = new double[classes];
    this.absent = new double[classes];
    SlotColumns b2 = new SlotColumns(old.b2(), 1, moves.from().slots());
    Part[] parts = new Part[moves.from().classes()];
    for (int c = 0; c < classes; c++) {
      for (int was : moves.sources(c)) {
        parts[was] = new Part();
      }
      moves.forEach(b2, 0, c, (was, bias) -> parts[was].add(bias));
      there[c] = Double.NEGATIVE_INFINITY;
      for (int was : moves.sources(c)) {
        float logit = b1.getFloat(was);
        double share = parts[was].share(moves.kept(was));
        // One of them is present if one of those before is, or else if this one is.
        there[c] = sum(there[c], absent[c] + logProbability(logit) + share);
        absent[c] += sum(logProbability(-logit), logProbability(logit) + logOfRest(share));
      }
    }
  }

  /** The part of an old class's outputs in the same new class. */
  private static final class Part {
    private int outputs;
    private double logNone;
    private double most = Double.NEGATIVE_INFINITY;

    void add(float bias) {
      outputs++;
      logNone += logProbability(-bias);
      most = Math.max(most, logProbability(bias) - logProbability(Math.max(bias, MOST)));
    }

    /** Returns the logarithm of the probability that one of them is there if their old class is. */
    double share(int all) {
      return outputs == all ? 0 : Math.max(most, logOfRest(logNone));
    }
  }

  @Override
  public float ofClass(int c) {
    return (float) (there[c] - absent[c]);
  }

  @Override
  public float ofOutput(float bias, int was, int c) {
    double log = Math.min(0, logProbability(b1.getFloat(was)) + logProbability(bias) - there[c]);
    return (float) Math.min(log - logOfRest(log), Math.max(bias, MOST));
  }

  /** Returns the logarithm of 1 - exp(log), for log at most 0. */
  private static double logOfRest(double log) {
    return log > -Math.log(2) ? Math.log(-Math.expm1(log)) : Math.log1p(-Math.exp(log));
  }

  /** Returns the logarithm of exp(a) + exp(b). */
  private static double sum(double a, double b) {
    LogSum sum = new LogSum();
    sum.add(a);
    sum.add(b);
    return sum.log();
  }
}
