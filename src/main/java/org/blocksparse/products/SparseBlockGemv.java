// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.tensors.Check;

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
 *   <tr><td>o</td><td>(batch, oWin, oSize)</td><td>the tensor to add to</td></tr>
 *   <tr><td>W</td><td>(iBlocks, oBlocks, iSize, oSize)</td><td>weights; may be a transposed view, or {@link org.blocksparse.Weights}</td></tr>
 *   <tr><td>h</td><td>(batch, iWin, iSize)</td><td>the chosen input blocks</td></tr>
 *   <tr><td>inputIdx</td><td>(batch, iWin)</td><td>indices of the input blocks, in [0, iBlocks)</td></tr>
 *   <tr><td>outputIdx</td><td>(batch, oWin)</td><td>indices of the output blocks, in [0, oBlocks)</td></tr>
 * </table>
 *
 * <p>An index may repeat within a sample: repeated inputs add up, and each repeated output is
 * computed. Empty batches and windows are allowed.
 *
 * <p>With a ragged plan ({@link BlockPlan#of(org.blocksparse.SparseRows,
 * org.blocksparse.SparseRows, int, int)}), i and j run over the blocks that sample b selects. Then
 * h has the shape (entries of inputs, iSize), and o has the shape (entries of outputs, oSize).
 *
 * <p>The error of each element is at most k * 2<sup>-24</sup> * sum |h| |W|, where k = iWin * iSize
 * + 1. For weights that h is rounded for, {@link BlockPlan} has another bound. Results are bitwise
 * identical for any number of workers. NaN and infinities propagate as in any sum.
 *
 * <p>This is Theano's {@code SparseBlockGemv}, except that negative indices are rejected.
 */
public final class SparseBlockGemv {
  private SparseBlockGemv() {}

  /**
   * Returns the sum in a new tensor, which the caller closes; {@code o} does not change.
   *
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if a shape does not fit the others
   * @throws IndexOutOfBoundsException if an index is negative or too large
   * @throws IllegalStateException if a tensor is closed
   */
  public static FloatTensor apply(
      FloatTensor o, BlockMatrix W, FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
    try (BlockPlan plan = plan(W, inputIdx, outputIdx)) {
      return apply(o, W, h, plan);
    }
  }

  /** Computes the product by a plan of inputIdx and outputIdx. */
  public static FloatTensor apply(FloatTensor o, BlockMatrix W, FloatTensor h, BlockPlan plan) {
    return BlockProducts.of(W, plan).sum(o, h);
  }

  /**
   * Adds to {@code o}, which must not share memory with W or h. Nothing is written if an argument
   * is rejected.
   *
   * @param plan the plan of inputIdx and outputIdx
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if a shape does not fit the others, or if o overlaps an input
   * @throws IllegalStateException if a tensor or the plan is closed
   */
  public static void applyInPlace(BlockMatrix W, FloatTensor h, BlockPlan plan, FloatTensor o) {
    BlockProducts.of(W, plan).addTo(o, h);
  }

  /** Returns the plan for the given weights and indices. */
  static BlockPlan plan(BlockMatrix W, IntTensor inputIdx, IntTensor outputIdx) {
    Shape shape = Check.blocks("W", W);
    return BlockPlan.of(inputIdx, outputIdx, (int) shape.dim(0), (int) shape.dim(1));
  }
}
