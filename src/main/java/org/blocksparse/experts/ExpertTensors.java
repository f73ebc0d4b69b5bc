// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import org.blocksparse.BlockMatrix;

/**
 * Finds the matrices of a layer of experts in a model of others, by the names that {@link
 * MixtureOfExpertsBuilder#build(ExpertTensors, org.blocksparse.ElementType)} asks for.
 */
@FunctionalInterface
public interface ExpertTensors {
  /**
   * The matrix of a name.
   *
   * @param name {@code experts.3.up_proj.weight}, for instance
   * @return (out, in) of floats, or (1, 1, out, in) as {@link
   *     org.blocksparse.io.TensorFile#weights} has it; the caller of this closes it
   * @throws IOException if it cannot be read, or if there is none
   */
  BlockMatrix get(String name) throws IOException;
}
