// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

/** An operation on a {@link SoftmaxWorkload}. */
public enum SoftmaxOperation {
  /** Log probabilities of the targets. */
  TARGET,
  /** Probabilities of all outputs. */
  ALL,
  /** The ten likeliest outputs, where probabilities are as peaked as those of a trained model. */
  TOP_K,
  /** A step of gradient descent, with the gradient for x. */
  STEP,
  /** The same with Adagrad. */
  STEP_ADAGRAD;

  @Override
  public String toString() {
    return Names.of(this);
  }
}
