// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * The few primitives that everything else is made of, on operands that were checked: ranges of the
 * chunks of a schedule, on the calling thread. What each computes, operand by operand, is said in
 * the C header ({@code native/include/blocksparse/blocksparse.h}) at the function of the same name.
 *
 * <p>Implementations keep no state and may be called from any number of threads.
 */
public interface Kernels {
  /** The instruction set, {@code avx512} for instance, or {@code java}. */
  String instructionSet();

  /** Which products run on what, in words. */
  String path();

  /** Whether a product may run on OpenBLAS. */
  boolean mayUseBlas();

  /** How a product is computed; the reference kernels know one way only. */
  enum Path {
    AUTO,
    BLAS,
    TILE
  }

  /**
   * The rows of c that the chunks write become (or get added, with {@code accumulate}) the sums of
   * their rows of a times blocks of w, whose elements may be of any type.
   *
   * @param roundsA whether elements of a are rounded to bfloat16; w is of that type then, and not
   *     transposed
   * @param bias rows, one for each written block, that the sum starts from, or null
   */
  void blockGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      Rows a,
      boolean roundsA,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c);

  /** Rows [rowBegin, rowEnd) of the blocks of o get alpha times the outer products of x and y. */
  void blockOuter(
      OuterSchedule schedule,
      int blockBegin,
      int blockEnd,
      int rowBegin,
      int rowEnd,
      float alpha,
      Rows x,
      Rows y,
      boolean accumulate,
      Blocks o);

  /** Row j of o gets alpha times the sum of the rows of y that the chunks of block j name. */
  void blockSum(
      GemmSchedule schedule, int chunkBegin, int chunkEnd, int n, float alpha, Rows y, Rows o);

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

  /** The Euclidean length of the first {@code count} elements. */
  float norm(long count, Storage x);

  /** w[offset, offset + count) -= rate * (scale * g + decay * w), g from 0 on. */
  void sgd(long count, float rate, float scale, float decay, Storage g, Storage w, long offset);

  /** One step of Adagrad on [offset, offset + count) of s and w, with the gradient g from 0 on. */
  void adagrad(
      long count,
      float rate,
      float scale,
      float decay,
      float epsilon,
      Storage g,
      Storage s,
      Storage w,
      long offset);

  /** One step of Adam on [offset, offset + count) of m, v and w, with the gradient g from 0 on. */
  void adam(
      long count,
      float rate,
      float scale,
      float decay,
      float beta1,
      float beta2,
      float epsilon,
      long step,
      Storage g,
      Storage m,
      Storage v,
      Storage w,
      long offset);

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
   * The sum of each of bags [begin, end) is the gradient of one row of w, which makes a step.
   *
   * @param a what gradients are sums of
   * @param targets for each bag its row of w; no row twice
   * @param maxNorm the length that gradients are scaled down to
   */
  void bagSgd(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      float rate,
      float decay,
      float maxNorm,
      Storage w);

  /** As {@link #bagSgd}, with Adagrad. */
  void bagAdagrad(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      float rate,
      float decay,
      float maxNorm,
      float epsilon,
      Storage s,
      Storage w);

  /**
   * As {@link #bagSgd}, with Adam.
   *
   * @param steps for each bag the number of this step of its row
   */
  void bagAdam(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      Slice steps,
      float rate,
      float decay,
      float maxNorm,
      float beta1,
      float beta2,
      float epsilon,
      Storage m,
      Storage v,
      Storage w);
}
