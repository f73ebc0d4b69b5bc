// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.optimizer.BlockStep;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

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
 *   <tr><td>b, gradB</td><td>(oBlocks, oSize), the bias and its gradient</td></tr>
 *   <tr><td>outputIdx</td><td>(batch, oWin), each in [0, oBlocks)</td></tr>
 *   <tr><td>out, gradOut</td><td>(batch, oWin, oSize)</td></tr>
 * </table>
 *
 * <p>With an {@link Epilogue}, the bias is optional, input blocks may have one as well, and an
 * {@link Activation} and a gate follow in the same pass.
 *
 * <p>With a ragged plan ({@link BlockPlan#of(SparseRows, SparseRows, int, int)}), i and j run over
 * what sample b selects, h and gradH have the shape (entries of inputs, iSize), out and gradOut
 * (entries of outputs, oSize), in the order of the entries.
 *
 * <p>Where W is read and not written, it may be {@link Weights} of 16 or 8 bits. With a plan {@link
 * BlockPlan#withRoundedInputs}, h is rounded as well: less precise, and faster on some processors.
 *
 * <p>A dense layer is the case of one input block and one output block. The bias is added once,
 * however many inputs there are. For repeated indices, errors of rounding and differences from
 * Theano, whose {@code sparse_block_dot} this is, see {@link SparseBlockGemv}.
 *
 * <p>Every method returns a new tensor that the caller closes, or writes the tensor it is told to;
 * an output must not share memory with an input. All of them throw {@link NullPointerException} if
 * an argument is null, {@link IllegalArgumentException} if a shape does not fit the others or an
 * output overlaps an input, {@link IndexOutOfBoundsException} if an index is negative or too large,
 * and {@link IllegalStateException} if a tensor or the plan is closed; nothing is written then.
 */
public final class SparseBlockDot {
  private static final String BIAS = "(oBlocks, oSize)";
  private static final String INPUT = "(batch, iWin, iSize)";
  private static final String OUTPUT = "(batch, oWin, oSize)";

  private SparseBlockDot() {}

  /**
   * The output of the layer.
   *
   * @param h (batch, iWin, iSize), or (iWin, iSize) as a batch of one; the indices then have rank
   *     1, and the result is (1, oWin, oSize), as in Theano
   */
  public static FloatTensor apply(
      FloatTensor W, FloatTensor h, IntTensor inputIdx, FloatTensor b, IntTensor outputIdx) {
    Samples samples = Samples.of(h, inputIdx, outputIdx);
    try (BlockPlan plan = SparseBlockGemv.plan(W, samples.inputIdx, samples.outputIdx)) {
      return apply(W, samples.h, b, plan);
    }
  }

  /**
   * As {@link #apply(FloatTensor, FloatTensor, IntTensor, FloatTensor, IntTensor)}, of weights that
   * are only read.
   */
  public static FloatTensor apply(
      Weights W, FloatTensor h, IntTensor inputIdx, FloatTensor b, IntTensor outputIdx) {
    Samples samples = Samples.of(h, inputIdx, outputIdx);
    try (BlockPlan plan = SparseBlockGemv.plan(W, samples.inputIdx, samples.outputIdx)) {
      return apply(W, samples.h, b, plan);
    }
  }

  /** A batch of samples with the indices of their blocks. */
  private record Samples(FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
    /** The batch that is given, or that of one sample, whose tensors have a dimension less. */
    static Samples of(FloatTensor h, IntTensor inputIdx, IntTensor outputIdx) {
      if (requireNonNull(h, "h").shape().rank() != 2) {
        return new Samples(h, inputIdx, outputIdx);
      }
      Check.rank("inputIdx", inputIdx, "(iWin) for h of rank 2", 1);
      Check.rank("outputIdx", outputIdx, "(oWin) for h of rank 2", 1);
      return new Samples(
          h.reshape(1, h.shape().dim(0), h.shape().dim(1)),
          inputIdx.asBatchOfOne(),
          outputIdx.asBatchOfOne());
    }
  }

  /** The output of the layer, (batch, oWin, oSize), in a new tensor. */
  public static FloatTensor apply(FloatTensor W, FloatTensor h, FloatTensor b, BlockPlan plan) {
    return SparseBlockProducts.apply(BlockWeights.of(W, plan), h, b);
  }

  /** As above, of weights that are only read. */
  public static FloatTensor apply(Weights W, FloatTensor h, FloatTensor b, BlockPlan plan) {
    return SparseBlockProducts.apply(BlockWeights.of(W, plan), h, b);
  }

  /** The output of the layer, written to {@code out}, whose content before does not matter. */
  public static void apply(
      FloatTensor W, FloatTensor h, FloatTensor b, BlockPlan plan, FloatTensor out) {
    SparseBlockProducts.apply(BlockWeights.of(W, plan), h, b, out);
  }

  /** As above, of weights that are only read. */
  public static void apply(
      Weights W, FloatTensor h, FloatTensor b, BlockPlan plan, FloatTensor out) {
    SparseBlockProducts.apply(BlockWeights.of(W, plan), h, b, out);
  }

  /**
   * The output of the layer with what an epilogue says in the place of a bias, in a new tensor:
   * (batch, oWin, oSize), or half of oSize with a gated activation.
   */
  public static FloatTensor apply(FloatTensor W, FloatTensor h, BlockPlan plan, Epilogue epilogue) {
    return SparseBlockProducts.apply(BlockWeights.of(W, plan), h, epilogue);
  }

  /** As above, of weights that are only read. */
  public static FloatTensor apply(Weights W, FloatTensor h, BlockPlan plan, Epilogue epilogue) {
    return SparseBlockProducts.apply(BlockWeights.of(W, plan), h, epilogue);
  }

  /**
   * The output of the layer with what an epilogue says in the place of a bias, written to {@code
   * out}, whose content before does not matter. The epilogue's z must share memory with nothing
   * else, as out.
   */
  public static void apply(
      FloatTensor W, FloatTensor h, BlockPlan plan, Epilogue epilogue, FloatTensor out) {
    SparseBlockProducts.apply(BlockWeights.of(W, plan), h, epilogue, out);
  }

  /** As above, of weights that are only read. */
  public static void apply(
      Weights W, FloatTensor h, BlockPlan plan, Epilogue epilogue, FloatTensor out) {
    SparseBlockProducts.apply(BlockWeights.of(W, plan), h, epilogue, out);
  }

  /**
   * The gradient with respect to h, in a new tensor:
   *
   * <pre>{@code
   * gradH[b, i] = sum over j of  gradOut[b, j] . transpose(W[inputIdx[b, i], outputIdx[b, j]])
   * }</pre>
   */
  public static FloatTensor gradH(FloatTensor W, FloatTensor gradOut, BlockPlan plan) {
    return SparseBlockProducts.gradH(BlockWeights.of(W, plan), gradOut);
  }

  /** As above, of weights that are only read. */
  public static FloatTensor gradH(Weights W, FloatTensor gradOut, BlockPlan plan) {
    return SparseBlockProducts.gradH(BlockWeights.of(W, plan), gradOut);
  }

  /**
   * The gradient with respect to h, written to {@code gradH}, whose content before does not matter.
   */
  public static void gradH(FloatTensor W, FloatTensor gradOut, BlockPlan plan, FloatTensor gradH) {
    SparseBlockProducts.gradH(BlockWeights.of(W, plan), gradOut, 1, false, gradH);
  }

  /** As above, of weights that are only read. */
  public static void gradH(Weights W, FloatTensor gradOut, BlockPlan plan, FloatTensor gradH) {
    SparseBlockProducts.gradH(BlockWeights.of(W, plan), gradOut, 1, false, gradH);
  }

  /**
   * Adds alpha times the gradient with respect to h to {@code gradH}: where h is the input of
   * several layers, for instance. Unless alpha is 1, the gradient takes memory for the time of the
   * call; what is beyond the floats in it stays so, whatever alpha is.
   *
   * @throws IllegalArgumentException also if alpha is not finite
   */
  public static void addGradH(
      FloatTensor W, FloatTensor gradOut, BlockPlan plan, float alpha, FloatTensor gradH) {
    SparseBlockProducts.gradH(BlockWeights.of(W, plan), gradOut, alpha, true, gradH);
  }

  /** As above, of weights that are only read. */
  public static void addGradH(
      Weights W, FloatTensor gradOut, BlockPlan plan, float alpha, FloatTensor gradH) {
    SparseBlockProducts.gradH(BlockWeights.of(W, plan), gradOut, alpha, true, gradH);
  }

  /**
   * The gradient with respect to what h was made of, {@code h = f(z)}, in one pass:
   *
   * <pre>{@code
   * gradZ[b, i] = f'(z[b, i]) * sum over j of
   *     gradOut[b, j] . transpose(W[inputIdx[b, i], outputIdx[b, j]])
   * }</pre>
   *
   * <p>With the bits of {@link #gradH(FloatTensor, FloatTensor, BlockPlan)} and {@link
   * Activation#gradient} one after the other. If the activation is gated, the gradient of h takes
   * memory for the time of the call.
   *
   * @param activation f
   * @param z what h was made of: (batch, iWin, iSize), or 2 iSize with a gated activation
   * @param gradZ of the shape of z; its content before does not matter
   */
  public static void gradH(
      FloatTensor W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gradZ) {
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, null, 1, false, gradZ, null);
  }

  /** As above, of weights that are only read. */
  public static void gradH(
      Weights W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gradZ) {
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, null, 1, false, gradZ, null);
  }

  /**
   * As above, of {@code h[b, i] = gate[b, i] * f(z[b, i])}, with the gradient with respect to the
   * gate.
   *
   * @param gate (batch, iWin)
   * @param gradGate of the shape of gate; its content before does not matter
   */
  public static void gradH(
      FloatTensor W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      FloatTensor gradZ,
      FloatTensor gradGate) {
    requireNonNull(gate, "gate");
    requireNonNull(gradGate, "gradGate");
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, gate, 1, false, gradZ, gradGate);
  }

  /** As above, of weights that are only read. */
  public static void gradH(
      Weights W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      FloatTensor gradZ,
      FloatTensor gradGate) {
    requireNonNull(gate, "gate");
    requireNonNull(gradGate, "gradGate");
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, gate, 1, false, gradZ, gradGate);
  }

  /**
   * Adds alpha times the gradient with respect to what h was made of, {@code h = f(z)}, to {@code
   * gradZ}: where several layers read h, for instance. With the bits of {@link #gradH(FloatTensor,
   * FloatTensor, BlockPlan)} and {@link Activation#addGradient} one after the other; the gradient
   * of h takes memory for the time of the call.
   *
   * @param activation f
   * @param z what h was made of: (batch, iWin, iSize), or 2 iSize with a gated activation
   * @param alpha the factor, a finite number
   * @param gradZ of the shape of z
   * @throws IllegalArgumentException also if alpha is not finite
   */
  public static void addGradH(
      FloatTensor W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      float alpha,
      FloatTensor gradZ) {
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, null, alpha, true, gradZ, null);
  }

  /** As above, of weights that are only read. */
  public static void addGradH(
      Weights W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      float alpha,
      FloatTensor gradZ) {
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, null, alpha, true, gradZ, null);
  }

  /**
   * As above, of {@code h[b, i] = gate[b, i] * f(z[b, i])}; alpha times the gradient with respect
   * to the gate is added to {@code gradGate}.
   *
   * @param gate (batch, iWin)
   * @param gradGate of the shape of gate
   */
  public static void addGradH(
      FloatTensor W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      float alpha,
      FloatTensor gradZ,
      FloatTensor gradGate) {
    requireNonNull(gate, "gate");
    requireNonNull(gradGate, "gradGate");
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, gate, alpha, true, gradZ, gradGate);
  }

  /** As above, of weights that are only read. */
  public static void addGradH(
      Weights W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      float alpha,
      FloatTensor gradZ,
      FloatTensor gradGate) {
    requireNonNull(gate, "gate");
    requireNonNull(gradGate, "gradGate");
    SparseBlockProducts.gradZ(
        BlockWeights.of(W, plan), gradOut, activation, z, gate, alpha, true, gradZ, gradGate);
  }

  /**
   * The gradient with respect to W, dense: zero in blocks that no sample selects. Where W is large,
   * make a step with {@link #stepW} instead, or keep a tensor for {@link #gradW(FloatTensor,
   * FloatTensor, BlockPlan, FloatTensor)} or {@link #addGradW}, which touch only blocks that are
   * selected.
   */
  public static FloatTensor gradW(FloatTensor h, FloatTensor gradOut, BlockPlan plan) {
    requireNonNull(plan, "plan");
    long iSize = plan.inputs().requireAnySize("h", h, INPUT);
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    return FloatTensor.zeros(plan.iBlocks(), plan.oBlocks(), iSize, oSize)
        .filledBy(gradW -> addGradW(h, gradOut, plan, 1, gradW));
  }

  /**
   * The gradient with respect to W, written to {@code gradW}: to the blocks that a sample selects,
   * whose content before does not matter; others are not touched. For a tensor that is kept: {@link
   * #clearGradW} with the plan before makes it zero again, at a cost that does not depend on its
   * size.
   */
  public static void gradW(FloatTensor h, FloatTensor gradOut, BlockPlan plan, FloatTensor gradW) {
    outer(h, gradOut, plan, 1, false, "gradW", gradW);
  }

  /**
   * Adds alpha times the gradient with respect to W to {@code W}: with a negative alpha, a step of
   * gradient descent that touches only the blocks named, at a cost that does not depend on the size
   * of W. Into a tensor of its own, it adds up the gradients of several batches.
   *
   * @throws IllegalArgumentException also if alpha is not finite
   */
  public static void addGradW(
      FloatTensor h, FloatTensor gradOut, BlockPlan plan, float alpha, FloatTensor W) {
    outer(h, gradOut, plan, alpha, true, "W", W);
  }

  private static void outer(
      FloatTensor h,
      FloatTensor gradOut,
      BlockPlan plan,
      float alpha,
      boolean accumulate,
      String name,
      FloatTensor into) {
    requireNonNull(plan, "plan").requireFits(name, into);
    plan.inputs().require("h", h, INPUT, into.shape().dim(2));
    plan.outputs().require("gradOut", gradOut, OUTPUT, into.shape().dim(3));
    Check.finite("alpha", alpha);
    Check.noOverlap(name, into, "h", h);
    Check.noOverlap(name, into, "gradOut", gradOut);
    try (Lease lease = new Lease().of("h", h).of("gradOut", gradOut).writing(name, into)) {
      OuterSchedule outer = plan.outer(lease);
      Blocks blocks = KernelOperands.blocks(into);
      ProductEvent event = Recorder.product();
      plan.workers()
          .engine()
          .outer(
              outer,
              alpha,
              KernelOperands.rows(h),
              KernelOperands.rows(gradOut),
              accumulate,
              blocks);
      if (event != null) {
        event.record("gradW", plan.batch(), outer.pairs(), blocks.inSize(), blocks.outSize());
      }
    }
  }

  /** Sets the blocks of {@code gradW} that the plan touches to 0; others are not touched. */
  public static void clearGradW(BlockPlan plan, FloatTensor gradW) {
    requireNonNull(plan, "plan").requireFits("gradW", gradW);
    try (Lease lease = new Lease().writing("gradW", gradW)) {
      plan.workers().engine().clear(plan.outer(lease), KernelOperands.blocks(gradW));
    }
  }

  /**
   * The gradient with respect to b: for each output block, the sum of the rows of gradOut that were
   * computed with it. Zero for blocks that no sample selects.
   */
  public static FloatTensor gradB(FloatTensor gradOut, BlockPlan plan) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    return FloatTensor.zeros(plan.oBlocks(), oSize)
        .filledBy(gradB -> addGradB(gradOut, plan, 1, gradB));
  }

  /**
   * The gradient with respect to b, written to {@code gradB}: to the rows whose blocks the plan
   * selects, whose content before does not matter; others are not touched.
   */
  public static void gradB(FloatTensor gradOut, BlockPlan plan, FloatTensor gradB) {
    requireNonNull(plan, "plan");
    int oSize = (int) plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    Check.shape("gradB", gradB, BIAS, plan.oBlocks(), oSize);
    Check.noOverlap("gradB", gradB, "gradOut", gradOut);
    try (Lease lease = new Lease().of("gradOut", gradOut).writing("gradB", gradB)) {
      GemmSchedule forward = plan.forward(lease);
      plan.workers()
          .engine()
          .sum(forward, oSize, 1, KernelOperands.rows(gradOut), false, KernelOperands.rows(gradB));
    }
  }

  /**
   * Adds alpha times the gradient with respect to b to {@code b}: with a negative alpha, a step of
   * gradient descent that touches only the blocks named.
   *
   * @throws IllegalArgumentException also if alpha is not finite
   */
  public static void addGradB(FloatTensor gradOut, BlockPlan plan, float alpha, FloatTensor b) {
    requireNonNull(plan, "plan");
    int oSize = (int) plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    Check.shape("b", b, BIAS, plan.oBlocks(), oSize);
    Check.finite("alpha", alpha);
    Check.noOverlap("b", b, "gradOut", gradOut);
    try (Lease lease = new Lease().of("gradOut", gradOut).writing("b", b)) {
      GemmSchedule forward = plan.forward(lease);
      plan.workers()
          .engine()
          .sum(forward, oSize, alpha, KernelOperands.rows(gradOut), true, KernelOperands.rows(b));
    }
  }

  /** Sets the rows of {@code gradB} whose blocks the plan selects to 0; others are not touched. */
  public static void clearGradB(BlockPlan plan, FloatTensor gradB) {
    requireNonNull(plan, "plan");
    Check.rank("gradB", gradB, BIAS, 2);
    int oSize = (int) gradB.shape().dim(1);
    Check.shape("gradB", gradB, BIAS, plan.oBlocks(), oSize);
    try (Lease lease = new Lease().writing("gradB", gradB)) {
      plan.workers().engine().clear(plan.forward(lease), oSize, KernelOperands.rows(gradB));
    }
  }

  // ------------------------------------------------------------------------------------- steps

  /**
   * A step of training: each block of W that the plan touches follows its gradient, which is made,
   * used and forgotten while it is in the cache. Blocks that no sample selects cost nothing and
   * stay as they are: they do not decay, and their part of the optimizer state does not change.
   *
   * <p>Clipping ({@link Optimizer#withMaxNorm}) is of each block on its own. For Adam, the moments
   * of a block are corrected by the number of steps that the block itself has taken. Bits do not
   * depend on the workers.
   *
   * <p>To be called after {@link #gradH}, which needs W as it was.
   *
   * @param W a tensor that the state was made for; so no transposed view
   * @param state what the optimizer keeps of W
   * @throws IllegalArgumentException also if the state was not made for W
   * @throws IllegalStateException also if the state is closed
   * @throws OutOfMemoryError that names the bytes, if there is no memory for what the optimizer
   *     keeps, and nothing has changed then; or for what a worker needs on the way, when some
   *     blocks may have made the step and others not
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
    try (Lease lease = new Lease().of("h", h).of("gradOut", gradOut).writing("W", W)) {
      OuterSchedule outer = plan.outer(lease);
      Engine engine = plan.workers().engine();
      Blocks blocks = KernelOperands.blocks(W);
      ProductEvent event = Recorder.product();
      state.step(
          "W",
          W,
          optimizer,
          engine.kernels(),
          (step, tensor) ->
              new BlockStep(engine, step, tensor)
                  .weights(outer, KernelOperands.rows(h), KernelOperands.rows(gradOut), blocks));
      if (event != null) {
        event.record("stepW", plan.batch(), outer.pairs(), blocks.inSize(), blocks.outSize());
      }
    }
  }

  /**
   * A step of training of the bias, as {@link #stepW}: each row that the plan touches follows the
   * sum of the rows of gradOut that were computed with it. Biases do not decay.
   *
   * @param b a tensor that the state was made for
   */
  public static void stepB(
      FloatTensor gradOut,
      BlockPlan plan,
      Optimizer optimizer,
      FloatTensor b,
      OptimizerState state) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    Check.shape("b", b, BIAS, plan.oBlocks(), oSize);
    requireNonNull(optimizer, "optimizer");
    requireNonNull(state, "state");
    Check.noOverlap("b", b, "gradOut", gradOut);
    try (Lease lease = new Lease().of("gradOut", gradOut).writing("b", b)) {
      GemmSchedule forward = plan.forward(lease);
      Engine engine = plan.workers().engine();
      state.step(
          "b",
          b,
          optimizer,
          engine.kernels(),
          (step, tensor) ->
              new BlockStep(engine, step, tensor)
                  .biases(forward, KernelOperands.rows(gradOut), KernelOperands.rows(b)));
    }
  }
}
