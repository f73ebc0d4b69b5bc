// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.tensors.TensorStates;

/**
 * The state of an {@link org.blocksparse.Optimizer} between steps, for weights and biases of
 * block-sparse layers: the moments of each element, and for Adam the number of steps of each block.
 * {@link org.blocksparse.softmax.HierarchicalSoftmax}, {@link org.blocksparse.bag.EmbeddingBag} and
 * {@link org.blocksparse.experts.MixtureOfExperts} have their own state.
 *
 * <table>
 *   <caption>Tensors that can be trained</caption>
 *   <tr><th>tensor</th><th>shape</th><th>a block is</th><th>decays</th></tr>
 *   <tr><td>weights</td><td>(iBlocks, oBlocks, iSize, oSize)</td><td>W[i, j]</td><td>yes</td></tr>
 *   <tr><td>biases</td><td>(blocks, size)</td><td>a row</td><td>no</td></tr>
 * </table>
 *
 * <p>One state may hold all tensors of a model. Each tensor may have its own optimizer: a step with
 * another kind of optimizer resets the state of the tensor, but a new rate, decay or clipping does
 * not. The first step of a tensor allocates its state: none for SGD, as much as the tensor for
 * Adagrad, and twice as much for Adam.
 *
 * <p>The caller still owns the tensors. Steps of different tensors may run at the same time; the
 * caller must not run two steps of one tensor at the same time.
 */
public sealed interface OptimizerState extends AutoCloseable permits TensorStates {
  /**
   * Returns the state of tensors before their first step.
   *
   * @param tensors weights and biases; pass the same tensors to steps
   * @throws NullPointerException if one is null
   * @throws IllegalArgumentException if one has neither of the shapes above, has more than
   *     2<sup>31</sup> - 1 blocks, is a transposed view, or shares memory with another
   * @throws IllegalStateException if one is closed
   */
  static OptimizerState of(FloatTensor... tensors) {
    return TensorStates.of(tensors);
  }

  /**
   * Loads a saved state, to continue training exactly.
   *
   * @param file a file that {@link #save} wrote
   * @param tensors as for {@link #of}, of the same shapes and in the same order as those whose
   *     state was saved; the file does not hold them, {@link org.blocksparse.io.TensorFile} does
   * @throws FileFormatException if the file is not such a file, is damaged, or has the state of
   *     other tensors
   * @throws IOException if it cannot be read
   */
  static OptimizerState load(Path file, FloatTensor... tensors) throws IOException {
    return TensorStates.load(file, tensors);
  }

  /**
   * Writes the state of all tensors to a safetensors file, without the tensors. No step may run
   * meanwhile. The write is atomic: even after a crash, the file is the old one or the new one.
   *
   * @throws IllegalArgumentException if there are more tensors than a file can have: 65,534 of SGD
   *     or Adagrad, 21,845 of Adam, or if its header would take more than 8 MB, as it does if most
   *     tensors have other rules than the first
   * @throws IllegalStateException if this is closed, or if a number is not finite
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  void save(Path file) throws IOException;

  /** Frees the state as soon as no step uses it. Idempotent. The tensors stay open. */
  @Override
  void close();
}
