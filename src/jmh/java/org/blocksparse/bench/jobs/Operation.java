// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

/** An operation on a {@link Workload}. */
public enum Operation {
  /** The product alone: our plan and the peers' sorting of indices are made before. */
  FORWARD,
  /** The product from indices as they come. */
  FORWARD_AND_PLAN,
  /** The gradient with respect to h. */
  GRAD_H,
  /** The gradient with respect to W, added to the blocks that are touched. */
  GRAD_W;

  @Override
  public String toString() {
    return Names.of(this);
  }
}
