// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layers;

import org.blocksparse.internal.tensors.OperandLease;

/**
 * A layer whose scores a sum can hold.
 *
 * @param <X> its input
 * @param <S> its scores
 */
public interface ScoringLayer<X, S> extends SavedLayer {
  /**
   * Checks rows of input, leases them and the layer, and returns their scores.
   *
   * @param name the name of the rows, for messages
   */
  S scores(X x, String name, OperandLease lease);
}
