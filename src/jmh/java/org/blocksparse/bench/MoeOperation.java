// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

/** An operation of a mixture of experts on a batch with a given routing. */
public enum MoeOperation {
  FORWARD(1, 1, 0),
  /**
   * All gradients: weights, biases, gates and tokens; after a forward pass that is not measured.
   */
  BACKWARD(2, 1, 1),
  /** Forward, backward and an update of all weights and biases by Adam. */
  ADAM_STEP(3, 4, 3);

  private final int products;
  private final int reads;
  private final int writes;

  MoeOperation(int products, int reads, int writes) {
    this.products = products;
    this.reads = reads;
    this.writes = writes;
  }

  /** Operations of its products: each forward product has two of its size backward. */
  double flops(int tokens, MoeActivation activation) {
    return 2.0 * products * tokens * MoeProblem.TOP * MoeProblem.weightsOfExpert(activation);
  }

  /**
   * Bytes that its products have to move: weights read, and read again backward; gradients, or with
   * Adam weights and both moments, written. All experts have tokens.
   */
  double bytes(MoeActivation activation) {
    return (double) (reads + writes)
        * MoeProblem.EXPERTS
        * MoeProblem.weightsOfExpert(activation)
        * Float.BYTES;
  }

  @Override
  public String toString() {
    return Names.of(this);
  }
}
