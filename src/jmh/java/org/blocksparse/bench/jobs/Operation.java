// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

/** An operation on a {@link Workload}. */
public enum Operation {
  /** Runs the product alone: our plan and the peers' sorting of indices are made before. */
  FORWARD,
  /** Runs the product from unprepared indices. */
  FORWARD_AND_PLAN,
  /** Computes the gradient with respect to h. */
  GRAD_H,
  /** Computes the gradient with respect to W, added to the touched blocks. */
  GRAD_W;

  @Override
  public String toString() {
    return Names.of(this);
  }
}
