// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.binding.Blocksparse;

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
    SGD(Blocksparse.BLOCKSPARSE_SGD, 0),
    ADAGRAD(Blocksparse.BLOCKSPARSE_ADAGRAD, 1),
    ADAM(Blocksparse.BLOCKSPARSE_ADAM, 2);

    private final int code;
    private final int moments;

    Kind(int code, int moments) {
      this.code = code;
      this.moments = moments;
    }

    /** Its number in the C header, {@code blocksparse_rule}. */
    int code() {
      return code;
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

  /** Plain gradient descent: {@code w -= rate * gradient}. */
  public static UpdateRule descent(float rate) {
    return new UpdateRule(Kind.SGD, rate, 0, Float.POSITIVE_INFINITY, 0, 0, 0);
  }

  /** The same rule for parameters that do not decay. */
  public UpdateRule withoutDecay() {
    return decay == 0 ? this : new UpdateRule(kind, rate, 0, maxNorm, beta1, beta2, epsilon);
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
