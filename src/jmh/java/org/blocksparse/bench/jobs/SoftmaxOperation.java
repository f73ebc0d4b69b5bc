// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

/** An operation on a {@link SoftmaxWorkload}. */
public enum SoftmaxOperation {
  /** Computes log probabilities of the targets. */
  TARGET,
  /** Computes probabilities of all outputs. */
  ALL,
  /**
   * Searches the ten likeliest outputs, with probabilities as peaked as those of a trained model.
   */
  TOP_K,
  /** Makes a step of gradient descent, with the gradient for x. */
  STEP,
  /** Makes a step of Adagrad, with the gradient for x. */
  STEP_ADAGRAD;

  @Override
  public String toString() {
    return Names.of(this);
  }
}
