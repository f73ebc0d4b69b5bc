// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.weights.Blocks;

/**
 * Adds to chosen blocks the outer products of chosen rows:
 *
 * <pre>{@code
 * o[xIdx[b, i], yIdx[b, j]] += alpha * outer(x[b, i], y[b, j])      for all b, i, j
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>o</td><td>(xBlocks, yBlocks, xSize, ySize)</td><td>the blocks to add to; may be a transposed view</td></tr>
 *   <tr><td>x</td><td>(batch, xWin, xSize)</td><td>rows of x</td></tr>
 *   <tr><td>y</td><td>(batch, yWin, ySize)</td><td>rows of y</td></tr>
 *   <tr><td>xIdx</td><td>(batch, xWin)</td><td>the block of each row of x, in [0, xBlocks)</td></tr>
 *   <tr><td>yIdx</td><td>(batch, yWin)</td><td>the block of each row of y, in [0, yBlocks)</td></tr>
 * </table>
 *
 * <p>{@link #applyInPlace} can be a step of gradient descent: pass the weights of {@link
 * SparseBlockGemv} as o, its input as x, the gradient with respect to its output as y, and a
 * negative alpha. The step touches only the listed blocks, so its cost does not depend on the size
 * of o.
 *
 * <p>Theano's {@code SparseBlockOuter} ignores alpha on CPUs; this class applies it. Negative
 * indices are rejected. For everything else, including ragged plans, see {@link SparseBlockGemv}.
 */
public final class SparseBlockOuter {
  private static final String BLOCKS = "(xBlocks, yBlocks, xSize, ySize)";

  private SparseBlockOuter() {}

  /**
   * Returns the sum in a new tensor, which the caller closes; {@code o} does not change.
   *
   * @param alpha the factor of the products, a finite number
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if a shape does not fit the others, or alpha is not finite
   * @throws IndexOutOfBoundsException if an index is negative or too large
   * @throws IllegalStateException if a tensor is closed
   */
  public static FloatTensor apply(
      FloatTensor o, FloatTensor x, FloatTensor y, IntTensor xIdx, IntTensor yIdx, float alpha) {
    try (BlockPlan plan = plan(o, xIdx, yIdx)) {
      return apply(o, x, y, plan, alpha);
    }
  }

  /** Computes the sum of outer products by a plan of xIdx (its inputs) and yIdx (its outputs). */
  public static FloatTensor apply(
      FloatTensor o, FloatTensor x, FloatTensor y, BlockPlan plan, float alpha) {
    check(o, x, y, plan, alpha);
    return KernelOperands.filled(
        DenseFloats.from(o).copy("o"), sum -> applyInPlace(x, y, plan, alpha, sum));
  }

  /**
   * Adds to {@code o}, which must not share memory with x or y. Nothing is written if an argument
   * is rejected.
   *
   * @param plan the plan of xIdx (its inputs) and yIdx (its outputs)
   * @param alpha the factor of the products, a finite number
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if a shape does not fit the others, if alpha is not finite, or
   *     if o overlaps an input
   * @throws IllegalStateException if a tensor or the plan is closed
   */
  public static void applyInPlace(
      FloatTensor x, FloatTensor y, BlockPlan plan, float alpha, FloatTensor o) {
    check(o, x, y, plan, alpha);
    Check.noOverlap("o", o, "x", x);
    Check.noOverlap("o", o, "y", y);
    try (OperandLease lease = new OperandLease().writing("o", o).of("x", x).of("y", y)) {
      OuterSchedule outer = plan.outer(lease);
      Blocks blocks = KernelOperands.blocks(o);
      ProductEvent event = Recorder.product();
      Engine.from(plan.workers())
          .outer(outer, alpha, KernelOperands.rows(x), KernelOperands.rows(y), true, blocks);
      if (event != null) {
        event.record("gradW", plan.batch(), outer.pairs(), blocks.inSize(), blocks.outSize());
      }
    }
  }

  private static BlockPlan plan(FloatTensor o, IntTensor xIdx, IntTensor yIdx) {
    Check.rank("o", o, BLOCKS, 4);
    return BlockPlan.of(
        xIdx,
        "xIdx",
        "xBlocks",
        (int) o.shape().dim(0),
        yIdx,
        "yIdx",
        "yBlocks",
        (int) o.shape().dim(1));
  }

  private static void check(
      FloatTensor o, FloatTensor x, FloatTensor y, BlockPlan plan, float alpha) {
    requireNonNull(plan, "plan");
    Check.rank("o", o, BLOCKS, 4);
    Check.shape("o", o, BLOCKS, plan.iBlocks(), plan.oBlocks(), o.shape().dim(2), o.shape().dim(3));
    plan.inputs().require("x", x, "(batch, xWin, xSize)", o.shape().dim(2));
    plan.outputs().require("y", y, "(batch, yWin, ySize)", o.shape().dim(3));
    Check.finite("alpha", alpha);
  }
}
