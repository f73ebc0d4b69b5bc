// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.Link;

/**
 * The biases of classes whose outputs come from several ones, or from a part of one, and of these
 * outputs: such that for x = 0 all probabilities stay as they are.
 */
interface MovedBiases {
  /** Returns the bias of a new class. */
  float ofClass(int c);

  /**
   * Returns the bias of an output in a new class.
   *
   * @param old the previous value
   * @param was the class where it was
   */
  float ofOutput(float old, int was, int c);

  /** Returns the biases of a layer. */
  static MovedBiases of(Link link, Moves moves, SoftmaxStorage old) {
    return switch (link) {
      case SOFTMAX -> new MovedSoftmaxBiases(moves, old);
      case LOGISTIC -> new MovedTreeBiases(moves, old);
    };
  }
}
