// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;

/**
 * The targets of the elements of rows, and the weight of each row.
 *
 * @param target the element of each row that is there, or null: there are positives
 * @param smoothing the share of a target that is distributed by the prior
 * @param prior n probabilities, or null: uniform
 * @param positives for each row the elements that are there, ascending, or null: there is a target
 * @param weights for each row a weight, or null: 1
 */
public record Targets(
    Storage target, float smoothing, Storage prior, Bags positives, Storage weights) {
  /** Returns targets of one element for each row. */
  public static Targets single(Storage target, float smoothing, Storage prior, Storage weights) {
    return new Targets(target, smoothing, prior, null, weights);
  }

  /** Returns targets that are any elements of each row. */
  public static Targets several(Bags positives, Storage weights) {
    return new Targets(null, 0, null, positives, weights);
  }

  /** Returns the function to probabilities that such targets are compared with. */
  Link link() {
    return positives == null ? Link.SOFTMAX : Link.LOGISTIC;
  }
}
