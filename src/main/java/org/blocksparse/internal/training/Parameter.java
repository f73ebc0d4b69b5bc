// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

/** The parameters of a two-level softmax. */
public enum Parameter {
  /** Weights of the classes, (features, classes). */
  W1(0, "W1", true),
  /** Biases of the classes, (classes). */
  B1(1, "b1", false),
  /** Weights of the slots of each class, (classes, features, slots). */
  W2(2, "W2", true),
  /** Biases of the slots of each class, (classes, slots). */
  B2(3, "b2", false);

  private final int index;
  private final String label;
  private final boolean weight;

  Parameter(int index, String label, boolean weight) {
    this.index = index;
    this.label = label;
    this.weight = weight;
  }

  /** Returns the place of this parameter in the state of an optimizer. */
  public int index() {
    return index;
  }

  /** Returns the name of this parameter in messages and files. */
  public String label() {
    return label;
  }

  /**
   * Returns whether it is a weight, which is multiplied by inputs, or a bias, which is added to
   * outputs.
   */
  public boolean isWeight() {
    return weight;
  }
}
