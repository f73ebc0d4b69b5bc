// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.TensorStates;
import org.blocksparse.internal.training.BlockStep;
import org.blocksparse.internal.weights.Blocks;

/**
 * A layer that computes only chosen output blocks from chosen input blocks, with its gradients:
 *
 * <pre>{@code
 * out[b, j] = bias[outputIdx[b, j]] + sum over i of  h[b, i] . W[inputIdx[b, i], outputIdx[b, j]]
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th></tr>
 *   <tr><td>W, gradW</td><td>(iBlocks, oBlocks, iSize, oSize)</td></tr>
 *   <tr><td>h, gradH</td><td>(batch, iWin, iSize)</td></tr>
 *   <tr><td>inputIdx</td><td>(batch, iWin), each in [0, iBlocks)</td></tr>
 *   <tr><td>bias, gradB</td><td>(oBlocks, oSize), the bias and its gradient</td></tr>
 *   <tr><td>outputIdx</td><td>(batch, oWin), each in [0, oBlocks)</td></tr>
 *   <tr><td>out, gradOut</td><td>(batch, oWin, oSize)</td></tr>
 * </table>
 *
 * <p>With an {@link Epilogue}, the bias is optional, input blocks may also have a bias, and the
 * same pass applies an {@link org.blocksparse.Activation} and a gate. With {@link GradientOptions},
 * a gradient is added to a tensor, or continues through the activation that computed h.
 *
 * <p>With a ragged plan ({@link BlockPlan#of(org.blocksparse.SparseRows,
 * org.blocksparse.SparseRows, int, int)}), i and j run over the blocks that sample b selects. Then
 * h and gradH have the shape (entries of inputs, iSize), and out and gradOut have the shape
 * (entries of outputs, oSize), in the order of the entries.
 *
 * <p>Methods that only read W also accept {@link org.blocksparse.Weights} of fewer bits. For some
 * types, forward products round h as well; {@link BlockPlan} lists them.
 *
 * <p>A dense layer is the case of one input block and one output block. The bias is added once, for
 * any number of inputs. This class is Theano's {@code sparse_block_dot}. For repeated indices,
 * rounding errors and differences from Theano, see {@link SparseBlockGemv}.
 *
 * <p>Every method returns a new tensor that the caller closes, or writes to a tensor of the caller.
 * An output must not share memory with an input. Every method throws these exceptions, and then
 * writes nothing:
 *
 * <ul>
 *   <li>{@link NullPointerException} if an argument is null
 *   <li>{@link IllegalArgumentException} if a shape does not fit the others, or an output overlaps
 *       an input
 *   <li>{@link IndexOutOfBoundsException} if an index is negative or too large
 *   <li>{@link IllegalStateException} if a tensor or the plan is closed
 * </ul>
 */
public final class SparseBlockDot {
  private static final String BIAS = "(oBlocks, oSize)";
  private static final String INPUT = "(batch, iWin, iSize)";
  private static final String OUTPUT = "(batch, oWin, oSize)";

  private SparseBlockDot() {}

  /**
   * Returns the output of the layer.
   *
   * @param h (batch, iWin, iSize), or (iWin, iSize) as a batch of one; the indices then have rank
   *     1, and the result is (1, oWin, oSize), as in Theano
   */
  public static FloatTensor apply(
      BlockMatrix W, FloatTensor h, IntTensor inputIdx, FloatTensor bias, IntTensor outputIdx) {
    Samples samples = Samples.of(h, inputIdx, outputIdx);
    try (BlockPlan plan = SparseBlockGemv.plan(W, samples.inputIdx, samples.outputIdx)) {
      return apply(W, samples.h, plan, Epilogue.none().withBias(bias));
    }
  }

  /** A batch of samples with their block indices. */
  private record Samples(FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
    /**
     * Returns the given batch; a single sample, whose tensors have one dimension less, becomes a
     * batch of one.
     */
    static Samples of(FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
      if (requireNonNull(h, "h").shape().rank() != 2) {
        return new Samples(h, inputIdx, outputIdx);
      }
      Check.rank("inputIdx", inputIdx, "(iWin) for h of rank 2", 1);
      Check.rank("outputIdx", outputIdx, "(oWin) for h of rank 2", 1);
      return new Samples(
          h.reshape(1, h.shape().dim(0), h.shape().dim(1)),
          DenseInts.from(inputIdx).asBatchOfOne(),
          DenseInts.from(outputIdx).asBatchOfOne());
    }
  }

  /**
   * Returns the output of the layer with an epilogue, in a new tensor: (batch, oWin, oSize), or
   * half of oSize with a gated activation.
   */
  public static FloatTensor apply(BlockMatrix W, FloatTensor h, BlockPlan plan, Epilogue epilogue) {
    return BlockProducts.of(W, plan).apply(h, epilogue);
  }

  /**
   * Computes {@link #apply(BlockMatrix, FloatTensor, BlockPlan, Epilogue)} into {@code out}, whose
   * previous content is overwritten. Like out, the epilogue's z must not share memory with another
   * tensor.
   */
  public static void apply(
      BlockMatrix W, FloatTensor h, BlockPlan plan, Epilogue epilogue, FloatTensor out) {
    BlockProducts.of(W, plan).apply(h, epilogue, out);
  }

  /**
   * Returns the gradient with respect to h, in a new tensor:
   *
   * <pre>{@code
   * gradH[b, i] = sum over j of  gradOut[b, j] . transpose(W[inputIdx[b, i], outputIdx[b, j]])
   * }</pre>
   */
  public static FloatTensor gradH(BlockMatrix W, FloatTensor gradOut, BlockPlan plan) {
    return BlockProducts.of(W, plan).gradH(gradOut);
  }

  /**
   * Computes the gradient with respect to h, by the options: writes it or adds it to {@code gradH},
   * or continues in the same pass to the z of {@code h = gate * f(z)}. Results are bitwise equal to
   * {@link #gradH(BlockMatrix, FloatTensor, BlockPlan)} followed by {@link Activations#gradient}.
   *
   * <p>The call needs temporary memory for the gradient of h in two cases: if it is added to gradH
   * with a factor other than 1, or if the activation is gated or its gradient is added.
   *
   * @param gradH (batch, iWin, iSize); with an activation, the gradient of z, of the shape of z,
   *     called gradZ in messages
   */
  public static void gradH(
      BlockMatrix W,
      FloatTensor gradOut,
      BlockPlan plan,
      GradientOptions options,
      FloatTensor gradH) {
    BlockProducts.of(W, plan).gradH(gradOut, options, gradH);
  }

  /**
   * Returns the gradient with respect to W, dense: zero in blocks that no sample selects. If W is
   * large, use {@link #stepW} instead, or reuse one tensor with {@link #gradW(FloatTensor,
   * FloatTensor, BlockPlan, GradientOptions, FloatTensor)}, which touches only selected blocks.
   */
  public static FloatTensor gradW(FloatTensor h, FloatTensor gradOut, BlockPlan plan) {
    requireNonNull(plan, "plan");
    long iSize = plan.inputs().requireAnySize("h", h, INPUT);
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    return KernelOperands.filled(
        FloatTensor.zeros(plan.iBlocks(), plan.oBlocks(), iSize, oSize),
        gradW -> gradW(h, gradOut, plan, GradientOptions.add(1), gradW));
  }

  /**
   * Computes the gradient with respect to W and writes it or adds it to {@code gradW}, by the
   * options. Only blocks that a sample selects are touched. To reuse the tensor, call {@link
   * #clearGradW} with the previous plan: it sets the touched blocks to zero, at a cost that does
   * not depend on the size of the tensor. Added to W itself with a negative factor, this is a step
   * of gradient descent.
   *
   * @throws IllegalArgumentException also if the options have an activation or a gate
   */
  public static void gradW(
      FloatTensor h,
      FloatTensor gradOut,
      BlockPlan plan,
      GradientOptions options,
      FloatTensor gradW) {
    requireNonNull(plan, "plan").requireFits("gradW", gradW);
    plan.inputs().require("h", h, INPUT, gradW.shape().dim(2));
    plan.outputs().require("gradOut", gradOut, OUTPUT, gradW.shape().dim(3));
    Check.plain(options, "gradW");
    Check.noOverlap("gradW", gradW, "h", h);
    Check.noOverlap("gradW", gradW, "gradOut", gradOut);
    try (OperandLease lease =
        new OperandLease().of("h", h).of("gradOut", gradOut).writing("gradW", gradW)) {
      OuterSchedule outer = plan.outer(lease);
      Blocks blocks = KernelOperands.blocks(gradW);
      ProductEvent event = Recorder.product();
      Engine.from(plan.workers())
          .outer(
              outer,
              options.alpha(),
              KernelOperands.rows(h),
              KernelOperands.rows(gradOut),
              options.accumulates(),
              blocks);
      if (event != null) {
        event.record("gradW", plan.batch(), outer.pairs(), blocks.inSize(), blocks.outSize());
      }
    }
  }

  /** Sets the blocks of {@code gradW} that the plan touches to 0; others are not touched. */
  public static void clearGradW(BlockPlan plan, FloatTensor gradW) {
    requireNonNull(plan, "plan").requireFits("gradW", gradW);
    try (OperandLease lease = new OperandLease().writing("gradW", gradW)) {
      Engine.from(plan.workers()).clear(plan.outer(lease), KernelOperands.blocks(gradW));
    }
  }

  /**
   * Returns the gradient with respect to the bias: for each output block, the sum of its rows in
   * gradOut. It is zero for blocks that no sample selects.
   */
  public static FloatTensor gradB(FloatTensor gradOut, BlockPlan plan) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    return KernelOperands.filled(
        FloatTensor.zeros(plan.oBlocks(), oSize),
        gradB -> gradB(gradOut, plan, GradientOptions.add(1), gradB));
  }

  /**
   * Computes the gradient with respect to the bias and writes it or adds it to {@code gradB}, by
   * the options. Only rows of blocks that the plan selects are touched. Added to the bias itself
   * with a negative factor, this is a step of gradient descent.
   *
   * @throws IllegalArgumentException also if the options have an activation or a gate
   */
  public static void gradB(
      FloatTensor gradOut, BlockPlan plan, GradientOptions options, FloatTensor gradB) {
    requireNonNull(plan, "plan");
    int oSize = (int) plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    Check.shape("gradB", gradB, BIAS, plan.oBlocks(), oSize);
    Check.plain(options, "gradB");
    Check.noOverlap("gradB", gradB, "gradOut", gradOut);
    try (OperandLease lease = new OperandLease().of("gradOut", gradOut).writing("gradB", gradB)) {
      GemmSchedule forward = plan.forward(lease);
      Engine.from(plan.workers())
          .sum(
              forward,
              oSize,
              options.alpha(),
              KernelOperands.rows(gradOut),
              options.accumulates(),
              KernelOperands.rows(gradB));
    }
  }

  /** Sets the rows of {@code gradB} whose blocks the plan selects to 0; others are not touched. */
  public static void clearGradB(BlockPlan plan, FloatTensor gradB) {
    requireNonNull(plan, "plan");
    Check.rank("gradB", gradB, BIAS, 2);
    int oSize = (int) gradB.shape().dim(1);
    Check.shape("gradB", gradB, BIAS, plan.oBlocks(), oSize);
    try (OperandLease lease = new OperandLease().writing("gradB", gradB)) {
      Engine.from(plan.workers()).clear(plan.forward(lease), oSize, KernelOperands.rows(gradB));
    }
  }

  // ------------------------------------------------------------------------------------- steps

  /**
   * Makes a training step, which updates each block of W that a sample selects. The gradient of a
   * block is used while it is in the cache, and never stored. Other blocks cost nothing and do not
   * change: they do not decay, and neither does their part of the optimizer state.
   *
   * <p>{@link Optimizer#withMaxNorm} clips the gradient of each block separately. Adam's bias
   * correction of a block uses the number of steps of that block. Results are bitwise identical for
   * any workers.
   *
   * <p>Call this method after {@link #gradH}, which needs W before the step.
   *
   * <p>NaN and infinity are not rejected: a NaN in a row of h or gradOut makes the blocks that it
   * updates NaN, and further training does not repair them. Call this method only if the loss is
   * finite.
   *
   * @param W a tensor that the state was created for; so not a transposed view
   * @param state the optimizer state of W
   * @throws IllegalArgumentException also if the state was not created for W
   * @throws IllegalStateException also if the state is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes. If
   *     the optimizer state does not fit, nothing changes. If a worker's temporary memory does not
   *     fit, some blocks may be updated and others not
   */
  public static void stepW(
      FloatTensor h,
      FloatTensor gradOut,
      BlockPlan plan,
      Optimizer optimizer,
      FloatTensor W,
      OptimizerState state) {
    requireNonNull(plan, "plan").requireFits(W);
    plan.inputs().require("h", h, INPUT, W.shape().dim(2));
    plan.outputs().require("gradOut", gradOut, OUTPUT, W.shape().dim(3));
    requireNonNull(optimizer, "optimizer");
    requireNonNull(state, "state");
    Check.noOverlap("W", W, "h", h);
    Check.noOverlap("W", W, "gradOut", gradOut);
    try (OperandLease lease =
        new OperandLease().of("h", h).of("gradOut", gradOut).writing("W", W)) {
      OuterSchedule outer = plan.outer(lease);
      Engine engine = Engine.from(plan.workers());
      Blocks blocks = KernelOperands.blocks(W);
      ProductEvent event = Recorder.product();
      TensorStates.from(state)
          .step(
              "W",
              W,
              optimizer,
              engine.kernels(),
              (step, tensor) ->
                  new BlockStep(engine, step, tensor)
                      .weights(
                          outer, KernelOperands.rows(h), KernelOperands.rows(gradOut), blocks));
      if (event != null) {
        event.record("stepW", plan.batch(), outer.pairs(), blocks.inSize(), blocks.outSize());
      }
    }
  }

  /**
   * Makes a training step of the bias, as {@link #stepW}: updates the row of each output block that
   * a sample selects. Biases do not decay.
   *
   * @param bias a tensor that the state was created for
   */
  public static void stepB(
      FloatTensor gradOut,
      BlockPlan plan,
      Optimizer optimizer,
      FloatTensor bias,
      OptimizerState state) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    Check.shape("bias", bias, BIAS, plan.oBlocks(), oSize);
    requireNonNull(optimizer, "optimizer");
    requireNonNull(state, "state");
    Check.noOverlap("bias", bias, "gradOut", gradOut);
    try (OperandLease lease = new OperandLease().of("gradOut", gradOut).writing("bias", bias)) {
      GemmSchedule forward = plan.forward(lease);
      Engine engine = Engine.from(plan.workers());
      TensorStates.from(state)
          .step(
              "bias",
              bias,
              optimizer,
              engine.kernels(),
              (step, tensor) ->
                  new BlockStep(engine, step, tensor)
                      .biases(forward, KernelOperands.rows(gradOut), KernelOperands.rows(bias)));
    }
  }
}
