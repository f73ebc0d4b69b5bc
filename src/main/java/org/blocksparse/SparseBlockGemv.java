// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

/**
 * Adds to chosen output blocks the products of chosen input blocks with the weights between them:
 *
 * <pre>{@code
 * o[b, j] += sum over i of  h[b, i] . W[inputIdx[b, i], outputIdx[b, j]]
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>o</td><td>(batch, oWin, oSize)</td><td>what is added to</td></tr>
 *   <tr><td>W</td><td>(iBlocks, oBlocks, iSize, oSize)</td><td>weights; may be a transposed view, or {@link Weights}</td></tr>
 *   <tr><td>h</td><td>(batch, iWin, iSize)</td><td>the input blocks that were chosen</td></tr>
 *   <tr><td>inputIdx</td><td>(batch, iWin)</td><td>which they are, in [0, iBlocks)</td></tr>
 *   <tr><td>outputIdx</td><td>(batch, oWin)</td><td>which output blocks, in [0, oBlocks)</td></tr>
 * </table>
 *
 * <p>An index may repeat within a sample: repeated inputs add up, repeated outputs are computed
 * each. Empty batches and windows are allowed.
 *
 * <p>With a ragged plan ({@link BlockPlan#of(SparseRows, SparseRows, int, int)}), i and j run over
 * what sample b selects, h has the shape (entries of inputs, iSize) and o (entries of outputs,
 * oSize).
 *
 * <p>The error of each element is at most k * 2<sup>-24</sup> * sum |h| |W| with k = iWin * iSize +
 * 1 (but {@link BlockPlan#withRoundedInputs}), the bits are the same for any number of workers, and
 * NaN and infinities flow through as in any sum.
 *
 * <p>This is Theano's {@code SparseBlockGemv}, except that negative indices are refused.
 */
public final class SparseBlockGemv {
  private static final String WEIGHTS = "(iBlocks, oBlocks, iSize, oSize)";

  private SparseBlockGemv() {}

  /**
   * The sum in a new tensor, which the caller closes; {@code o} is left as it is.
   *
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if a shape does not fit the others
   * @throws IndexOutOfBoundsException if an index is negative or too large
   * @throws IllegalStateException if a tensor is closed
   */
  public static FloatTensor apply(
      FloatTensor o, FloatTensor W, FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
    try (BlockPlan plan = plan(W, inputIdx, outputIdx)) {
      return apply(o, W, h, plan);
    }
  }

  /** As above, of weights that are only read. */
  public static FloatTensor apply(
      FloatTensor o, Weights W, FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
    try (BlockPlan plan = plan(W, inputIdx, outputIdx)) {
      return apply(o, W, h, plan);
    }
  }

  /**
   * As {@link #apply(FloatTensor, FloatTensor, FloatTensor, IntTensor, IntTensor)}, with a plan of
   * inputIdx and outputIdx.
   */
  public static FloatTensor apply(FloatTensor o, FloatTensor W, FloatTensor h, BlockPlan plan) {
    return SparseBlockProducts.sum(o, BlockWeights.of(W, plan), h);
  }

  /** As above, of weights that are only read. */
  public static FloatTensor apply(FloatTensor o, Weights W, FloatTensor h, BlockPlan plan) {
    return SparseBlockProducts.sum(o, BlockWeights.of(W, plan), h);
  }

  /**
   * Adds to {@code o}, which must not share memory with W or h. Nothing is written if an argument
   * is refused.
   *
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if a shape does not fit the others, or if o overlaps an input
   * @throws IndexOutOfBoundsException if an index is negative or too large
   * @throws IllegalStateException if a tensor is closed
   */
  public static void applyInPlace(
      FloatTensor W, FloatTensor h, IntTensor inputIdx, IntTensor outputIdx, FloatTensor o) {
    try (BlockPlan plan = plan(W, inputIdx, outputIdx)) {
      applyInPlace(W, h, plan, o);
    }
  }

  /** As above, of weights that are only read. */
  public static void applyInPlace(
      Weights W, FloatTensor h, IntTensor inputIdx, IntTensor outputIdx, FloatTensor o) {
    try (BlockPlan plan = plan(W, inputIdx, outputIdx)) {
      applyInPlace(W, h, plan, o);
    }
  }

  /**
   * As {@link #applyInPlace(FloatTensor, FloatTensor, IntTensor, IntTensor, FloatTensor)}, with a
   * plan of inputIdx and outputIdx.
   */
  public static void applyInPlace(FloatTensor W, FloatTensor h, BlockPlan plan, FloatTensor o) {
    SparseBlockProducts.addTo(o, BlockWeights.of(W, plan), h);
  }

  /** As above, of weights that are only read. */
  public static void applyInPlace(Weights W, FloatTensor h, BlockPlan plan, FloatTensor o) {
    SparseBlockProducts.addTo(o, BlockWeights.of(W, plan), h);
  }

  /** The plan for the given weights and indices. */
  static BlockPlan plan(FloatTensor W, IntTensor inputIdx, IntTensor outputIdx) {
    return plan(Check.rank("W", W, WEIGHTS, 4).shape(), inputIdx, outputIdx);
  }

  /** As above, of weights that are only read. */
  static BlockPlan plan(Weights W, IntTensor inputIdx, IntTensor outputIdx) {
    return plan(requireNonNull(W, "W").shape(), inputIdx, outputIdx);
  }

  private static BlockPlan plan(Shape W, IntTensor inputIdx, IntTensor outputIdx) {
    return BlockPlan.of(inputIdx, outputIdx, (int) W.dim(0), (int) W.dim(1));
  }
}
