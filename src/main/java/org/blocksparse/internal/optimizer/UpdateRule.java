// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.optimizer;

/**
 * How a tensor follows its gradient: a kind of rule and its numbers, checked by the facade.
 *
 * @param decay what is added to the gradient of a weight, in times the weight itself
 * @param maxNorm the Euclidean length that the gradient of a block is scaled down to
 */
public record UpdateRule(
    Kind kind, float rate, float decay, float maxNorm, float beta1, float beta2, float epsilon) {
  /** The kinds of rules. Their names are written to files. */
  public enum Kind {
    SGD(0),
    ADAGRAD(1),
    ADAM(2);

    private final int moments;

    Kind(int moments) {
      this.moments = moments;
    }

    /** How many numbers it keeps for each element of a tensor. */
    public int moments() {
      return moments;
    }

    /** Whether it needs to know how many steps a block has taken. */
    public boolean countsSteps() {
      return this == ADAM;
    }
  }

  /** Whether gradients are clipped. */
  public boolean isClipping() {
    return maxNorm < Float.POSITIVE_INFINITY;
  }

  /** Whether a step is the gradient times a factor and nothing else, so that both can be one. */
  public boolean isPlainDescent() {
    return kind == Kind.SGD && decay == 0 && !isClipping();
  }
}
