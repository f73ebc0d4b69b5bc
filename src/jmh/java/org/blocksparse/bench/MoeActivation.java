// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import org.blocksparse.Activation;

/** The activation between the two products of an expert. */
public enum MoeActivation {
  RELU(Activation.RELU),
  SILU(Activation.SILU),
  SWIGLU(Activation.SWIGLU);

  final Activation ours;

  MoeActivation(Activation ours) {
    this.ours = ours;
  }

  /** Columns of the first product. */
  int sums() {
    return ours.isGated() ? 2 * MoeProblem.HIDDEN : MoeProblem.HIDDEN;
  }

  @Override
  public String toString() {
    return Names.of(this);
  }
}
