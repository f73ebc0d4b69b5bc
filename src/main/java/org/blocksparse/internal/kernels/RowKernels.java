// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;

/**
 * Kernels that work on rows element by element: losses, activations, sums of bags, and the steps of
 * optimizers; see {@link Kernels}. A new rule is one more {@link UpdateRule.Kind}.
 */
public interface RowKernels {
  /**
   * Softmax of the rows that the chunks write, in place.
   *
   * @param valid for each written block the elements that take part, or null: all n
   * @param scale for each row a factor (with {@code logarithm} a summand), or null
   */
  void blockSoftmax(
      boolean logarithm,
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage scale,
      Rows c);

  /**
   * Logits become the gradients of their negative log likelihoods, in place.
   *
   * @param weights for each row a weight, or null
   * @param prior n probabilities that smoothing distributes by, or null: uniform
   */
  void blockCrossEntropy(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage target,
      Storage weights,
      float smoothing,
      Storage prior,
      Storage nll,
      Rows c);

  /**
   * Sigmoids of the rows that the chunks write, each element by itself, in place; operands as of
   * {@link #blockSoftmax}.
   */
  void blockSigmoid(
      boolean logarithm,
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage scale,
      Rows c);

  /**
   * Logits of things that are there or not become the gradients of their binary cross entropies, in
   * place.
   *
   * @param positives for each row of c the elements that are there, ascending
   * @param weights for each row a weight, or null
   * @param loss for each row the sum over its elements
   */
  void blockBinaryCrossEntropy(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Bags positives,
      Storage weights,
      Storage loss,
      Rows c);

  /** The rows of a that are selected become gate * f(z). */
  void activation(RowSelection rows, ActivationInput input, Rows a);

  /**
   * alpha times the gradients of {@link #activation}: with respect to z, and to the gate if it is
   * wanted.
   *
   * @param accumulate whether gradZ and gradGate are added to, or only written
   * @param gradGate an element for each row, or null; with it, all columns are selected
   */
  void activationGradient(
      RowSelection rows,
      ActivationInput input,
      float alpha,
      Rows gradA,
      boolean accumulate,
      Rows gradZ,
      Storage gradGate);

  /** The Euclidean length of the first {@code count} elements. */
  float norm(long count, Storage x);

  /**
   * One step by a rule: elements [offset, offset + count) of w, and of its moments, follow the
   * gradient {@code scale * g + decay * w}.
   *
   * @param number of this step of the elements, from 1 on; looked at where the rule counts them
   * @param g the gradient, from element {@code gOffset} on
   * @param moments as many as the rule keeps
   */
  void step(
      UpdateRule rule,
      long count,
      float scale,
      long number,
      Storage g,
      long gOffset,
      Storage w,
      long offset,
      Storage... moments);

  /**
   * Row r of c, for bags [begin, end), becomes the sum of the rows of a that bag r names, times the
   * factor of the reduction.
   *
   * @param n the size of a row
   */
  void bagSum(Bags.Reduction reduction, Bags bags, int begin, int end, int n, TableRows a, Rows c);

  /**
   * For each entry of bags [begin, end) the product of the row of a that it names with the bag's
   * row of y, times the factor of the reduction.
   */
  void bagDot(
      Bags.Reduction reduction,
      Bags bags,
      int begin,
      int end,
      int n,
      TableRows a,
      Rows y,
      Storage dots);

  /**
   * The sum of each of bags [begin, end) is the gradient of one row of w, which makes a step by a
   * rule, {@link UpdateRule#maxNorm} included.
   *
   * @param a what gradients are sums of
   * @param targets for each bag its row of w; no row twice
   * @param steps for each bag the number of this step of its row; looked at where the rule counts
   *     them
   * @param moments as many as the rule keeps
   */
  void bagStep(
      UpdateRule rule,
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      Slice steps,
      Storage w,
      Storage... moments);

  /**
   * The product of a bag with a chunk of sparse weights, and its biases, from the start of c on.
   *
   * @param firstOutput of the chunk
   * @param n how many outputs the chunk has
   */
  void sparseChunk(
      Bags bags, int bag, SparseChunks weights, int chunk, int firstOutput, int n, Storage c);
}
