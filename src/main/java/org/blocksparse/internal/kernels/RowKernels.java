// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Optimizer;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * Kernels that work on rows element by element: losses, activations, sums of bags, and the steps of
 * optimizers; see {@link Kernels}. A new rule is one more {@link Optimizer.Kind}.
 */
public interface RowKernels {
  /** Replaces the rows that chunks [begin, end) write by probabilities, in place. */
  void probabilities(Probabilities of, int begin, int end);

  /**
   * Replaces the rows of logits that chunks [begin, end) write by the gradients of their cross
   * entropies, in place.
   */
  void crossEntropy(CrossEntropy of, int begin, int end);

  /** Computes gate * f(z) for the selected rows of a. */
  void activation(RowSelection rows, ActivationInput input, Rows a);

  /**
   * Computes the gradients of {@link #activation}: with respect to z, and to the gate if requested.
   */
  void activationGradient(RowSelection rows, ActivationGradient of);

  /** Returns the Euclidean norm of the first {@code count} elements. */
  float norm(long count, Storage x);

  /**
   * Makes one step by a rule: elements [offset, offset + count) of w, and of its moments, follow
   * the gradient {@code scale * g + decay * w}.
   *
   * @param g the gradient, from element {@code gOffset} on
   * @param number the number of this step of the elements, from 1 on; looked at where the rule
   *     counts them
   */
  void step(
      Optimizer rule,
      Parameters w,
      long offset,
      long count,
      Storage g,
      long gOffset,
      float scale,
      long number);

  /** Adds alpha times the first {@code count} elements of g to those of w. */
  void add(float alpha, long count, Storage g, Storage w);

  /** Computes the rows of c for bags [begin, end). */
  void bagSum(BagSums sums, int begin, int end);

  /** Computes the products of the entries of bags [begin, end). */
  void bagDot(BagDots dots, int begin, int end);

  /**
   * Makes a step of one row of w for each of the bags [begin, end), whose sum is its gradient.
   *
   * @param rule its {@link Optimizer#maxNorm} clips the gradient of each row
   */
  void bagStep(Optimizer rule, BagSteps steps, int begin, int end);

  /** Adds alpha times the sum of each of bags [begin, end) to one row of w. */
  void bagAdd(float alpha, BagSteps sums, int begin, int end);

  /**
   * Computes the product of a bag with a chunk of sparse weights, plus its biases, from the start
   * of c on.
   *
   * @param firstOutput the first output of the chunk
   * @param n how many outputs the chunk has
   */
  void sparseChunk(
      Bags bags, int bag, SparseChunks weights, int chunk, int firstOutput, int n, Storage c);
}
