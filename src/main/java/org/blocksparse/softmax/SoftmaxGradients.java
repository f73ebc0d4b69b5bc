// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;

/**
 * The gradients of a loss of a {@link HierarchicalSoftmax} or a {@link LabelTree}: new, dense
 * tensors that are closed together.
 *
 * @param loss the loss
 * @param x (batch, features)
 * @param W1 (features, classes)
 * @param b1 (classes)
 * @param W2 (classes, features, slots); zero in classes that no target is in
 * @param b2 (classes, slots)
 */
public record SoftmaxGradients(
    double loss, FloatTensor x, FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2)
    implements AutoCloseable {
  /**
   * Puts gradients together, which are closed together from then on.
   *
   * @throws NullPointerException if one is missing
   */
  public SoftmaxGradients {
    requireNonNull(x, "x");
    requireNonNull(W1, "W1");
    requireNonNull(b1, "b1");
    requireNonNull(W2, "W2");
    requireNonNull(b2, "b2");
  }

  @Override
  public void close() {
    x.close();
    W1.close();
    b1.close();
    W2.close();
    b2.close();
  }
}
