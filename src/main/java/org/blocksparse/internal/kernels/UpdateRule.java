// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Optimizer;
import org.blocksparse.internal.binding.Blocksparse;

/**
 * How a tensor follows its gradient: a kind of rule and its numbers, checked by the facade.
 *
 * @param decay what is added to the gradient of a weight, in times the weight itself
 * @param maxNorm the Euclidean length that the gradient of a block is scaled down to
 */
public record UpdateRule(
    Optimizer.Kind kind,
    float rate,
    float decay,
    float maxNorm,
    float beta1,
    float beta2,
    float epsilon) {
  /** Returns the rule of an optimizer. */
  public static UpdateRule of(Optimizer optimizer) {
    return new UpdateRule(
        optimizer.kind(),
        optimizer.rate(),
        optimizer.decay(),
        optimizer.maxNorm(),
        optimizer.beta1(),
        optimizer.beta2(),
        optimizer.epsilon());
  }

  /** The number of the kind in the C header, {@code blocksparse_rule}. */
  int code() {
    return switch (kind) {
      case SGD -> Blocksparse.BLOCKSPARSE_SGD;
      case ADAGRAD -> Blocksparse.BLOCKSPARSE_ADAGRAD;
      case ADAM -> Blocksparse.BLOCKSPARSE_ADAM;
    };
  }

  /** Plain gradient descent: {@code w -= rate * gradient}. */
  public static UpdateRule descent(float rate) {
    return new UpdateRule(Optimizer.Kind.SGD, rate, 0, Float.POSITIVE_INFINITY, 0, 0, 0);
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
    return kind == Optimizer.Kind.SGD && decay == 0 && !isClipping();
  }
}
