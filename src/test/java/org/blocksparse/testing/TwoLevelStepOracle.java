// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import org.blocksparse.Optimizer;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.OptimizerOracle.Rule;

/**
 * Steps of a softmax or a label tree in float64: gradients are clipped, those of the first level as
 * a whole and those of the second class by class, then the rule is applied.
 */
public final class TwoLevelStepOracle {
  private final Rule rule;
  private final float maxNorm;
  private final int roundings;
  private final OptimizerOracle ofW1;
  private final OptimizerOracle ofB1;
  private final OptimizerOracle ofW2;
  private final OptimizerOracle ofB2;

  /**
   * Makes an oracle.
   *
   * @param first a problem of the same sizes
   */
  public TwoLevelStepOracle(SoftmaxProblem first, Rule rule, float maxNorm) {
    this.rule = rule;
    this.maxNorm = maxNorm;
    this.roundings = first.batch() + 6;
    this.ofW1 = new OptimizerOracle(rule, first.W1().length);
    this.ofB1 = new OptimizerOracle(rule.ofBiases(), first.b1().length);
    this.ofW2 = new OptimizerOracle(rule, first.W2().length);
    this.ofB2 = new OptimizerOracle(rule.ofBiases(), first.b2().length);
  }

  /** Returns the optimizer of the library. */
  public Optimizer optimizer() {
    return rule.optimizer().withMaxNorm(maxNorm);
  }

  /**
   * Asserts the result of a step of a layer.
   *
   * @param p the parameters before the step
   * @param counts whether any row does
   * @param touched the classes that are opened by rows that count
   */
  public void assertHolds(
      String name,
      SoftmaxProblem p,
      SoftmaxOracle.Gradients g,
      boolean counts,
      boolean[] touched,
      TwoLevelLayer<?> layer) {
    boolean[] whole = {counts};
    step(ofW1, p.W1(), g.W1(), whole).assertHolds(name + "W1", layer.W1());
    step(ofB1, p.b1(), g.b1(), whole).assertHolds(name + "b1", layer.b1());
    step(ofW2, p.W2(), g.W2(), touched).assertHolds(name + "W2", layer.W2());
    step(ofB2, p.b2(), g.b2(), touched).assertHolds(name + "b2", layer.b2());
  }

  /** Returns a parameter of parts that are clipped, and updated if they are touched, one by one. */
  private Bounded step(
      OptimizerOracle oracle, float[] before, Bounded gradient, boolean[] touched) {
    int part = before.length / touched.length;
    return oracle.step(
        before,
        OptimizerOracle.clipped(gradient, part, maxNorm),
        OptimizerOracle.touched(touched, before.length),
        roundings);
  }
}
