// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

/** An operation of an embedding bag on a batch. */
public enum BagOperation {
  FORWARD(1),
  /** Reads and writes the table and the state of Adagrad. */
  ADAGRAD_STEP(4);

  private final int passes;

  BagOperation(int passes) {
    this.passes = passes;
  }

  /** Bytes that have to be moved: each row that is named once, however often it is named. */
  double bytes(BagProblem problem) {
    return passes * problem.distinctRows() * BagProblem.FEATURES * Float.BYTES;
  }

  @Override
  public String toString() {
    return Names.of(this);
  }
}
