// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/** The parameters of a two-level softmax. */
public enum Parameter {
  /** Weights of the classes, (features, classes). */
  W1("W1", true),
  /** Biases of the classes, (classes). */
  B1("b1", false),
  /** Weights of the slots of each class, (classes, features, slots). */
  W2("W2", true),
  /** Biases of the slots of each class, (classes, slots). */
  B2("b2", false);

  private final String label;
  private final boolean weight;

  Parameter(String label, boolean weight) {
    this.label = label;
    this.weight = weight;
  }

  /** Its name in messages and files. */
  public String label() {
    return label;
  }

  /** Whether it is multiplied by inputs; a bias is added to what comes out. */
  public boolean isWeight() {
    return weight;
  }
}
