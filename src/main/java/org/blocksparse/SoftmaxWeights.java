// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.Engine;

/**
 * The weights of a two-level softmax, of a type that is only read.
 *
 * @param W1 (1, 1, features, classes)
 * @param W2 (1, classes, features, slots), of the same type
 */
record SoftmaxWeights(Weights W1, Weights W2) implements AutoCloseable {
  /** Copies of the weights of a layer, which are floats or of this type already. */
  static SoftmaxWeights of(SoftmaxParameters parameters, ElementType type, Engine engine) {
    if (parameters.narrow() != null) {
      return parameters.narrow().copy();
    }
    FloatTensor floats1 = parameters.W1();
    FloatTensor floats2 = parameters.W2();
    long features = floats1.shape().dim(0);
    long classes = floats1.shape().dim(1);
    long slots = floats2.shape().dim(2);
    Weights narrow1 = Weights.of("W1", floats1.reshape(1, 1, features, classes), type, engine);
    try {
      return new SoftmaxWeights(
          narrow1, Weights.of("W2", floats2.reshape(1, classes, features, slots), type, engine));
    } catch (Throwable e) {
      narrow1.close();
      throw e;
    }
  }

  private SoftmaxWeights copy() {
    Weights first = W1.copy("W1");
    try {
      return new SoftmaxWeights(first, W2.copy("W2"));
    } catch (Throwable e) {
      first.close();
      throw e;
    }
  }

  @Override
  public void close() {
    W1.close();
    W2.close();
  }
}
