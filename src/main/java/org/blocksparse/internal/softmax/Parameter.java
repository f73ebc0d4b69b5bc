// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/** The parameters of a two-level softmax. */
public enum Parameter {
  /** Weights of the classes, (features, classes). */
  W1(true),
  /** Biases of the classes, (classes). */
  B1(false),
  /** Weights of the slots of each class, (classes, features, slots). */
  W2(true),
  /** Biases of the slots of each class, (classes, slots). */
  B2(false);

  private final boolean weight;

  Parameter(boolean weight) {
    this.weight = weight;
  }

  /** Whether it is multiplied by inputs; a bias is added to what comes out. */
  public boolean isWeight() {
    return weight;
  }
}
