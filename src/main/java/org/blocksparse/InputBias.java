// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.bag.InputBiasTable;
import org.blocksparse.internal.memory.Storage;

/**
 * Gradients and steps of a bias that belongs to <i>input</i> blocks: where the experts of a mixture
 * are input blocks, for instance, each has a bias of its own, which comes with its products and is
 * weighted by the same gate:
 *
 * <pre>{@code
 * out[b, j] += sum over i of  gate[b, i] * bias[inputIdx[b, i]]
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th></tr>
 *   <tr><td>bias, gradBias</td><td>(iBlocks, oSize)</td></tr>
 *   <tr><td>gate, gradGate</td><td>(batch, iWin); of a ragged plan (entries of inputs)</td></tr>
 *   <tr><td>gradOut</td><td>(batch, oWin, oSize); of a ragged plan (entries of outputs, oSize)</td></tr>
 * </table>
 *
 * <p>The gate may be null: each factor is 1 then. An input block that a sample selects several
 * times counts as often.
 *
 * <p>An element of a gradient that n terms add up to is off by at most (n + 3) 2<sup>-24</sup>
 * times the sum of their magnitudes; the bits do not depend on the workers. For the rest, and for
 * what is thrown, see {@link SparseBlockDot}.
 */
public final class InputBias {
  private static final String BIAS = "(iBlocks, oSize)";
  private static final String GATE = "(batch, iWin)";
  private static final String OUTPUT = "(batch, oWin, oSize)";

  private InputBias() {}

  /**
   * The gradient with respect to the bias, in a new tensor; zero for blocks that no sample selects:
   *
   * <pre>{@code
   * gradBias[k] = sum over b, i with inputIdx[b, i] = k, and over j, of  gate[b, i] * gradOut[b, j]
   * }</pre>
   */
  public static FloatTensor gradBias(FloatTensor gradOut, FloatTensor gate, BlockPlan plan) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    return FloatTensor.zeros(plan.iBlocks(), oSize)
        .filledBy(gradBias -> gradBias(gradOut, gate, plan, GradientOptions.add(1), gradBias));
  }

  /**
   * The gradient with respect to the bias, written or added to {@code gradBias} as the options say:
   * to the rows whose blocks a sample selects; others are not touched. Added to the bias itself
   * with a negative factor, it is a step of gradient descent. An element that was infinite becomes
   * NaN if the gradient is added.
   *
   * @throws IllegalArgumentException also if the options have an activation or a gate
   */
  public static void gradBias(
      FloatTensor gradOut,
      FloatTensor gate,
      BlockPlan plan,
      GradientOptions options,
      FloatTensor gradBias) {
    int oSize = check(gradOut, gate, plan, "gradBias", gradBias);
    GradientOptions.requirePlain(options, "gradBias");
    noOverlap("gradBias", gradBias, gradOut, gate);
    try (Lease lease = lease(gradOut, gate).writing("gradBias", gradBias)) {
      InputBiasTable table = table(plan, lease, gradBias);
      if (oSize > 0) {
        table.gradient(
            storage(gate), KernelOperands.rows(gradOut), options.alpha(), options.accumulates());
      }
    }
  }

  /** Sets the rows of {@code gradBias} whose blocks a sample selects to 0. */
  public static void clearGradBias(BlockPlan plan, FloatTensor gradBias) {
    requireNonNull(plan, "plan");
    Check.rank("gradBias", gradBias, BIAS, 2);
    Check.shape("gradBias", gradBias, BIAS, plan.iBlocks(), gradBias.shape().dim(1));
    try (Lease lease = new Lease().writing("gradBias", gradBias)) {
      table(plan, lease, gradBias).clear();
    }
  }

  /**
   * The gradient with respect to the gate, in a new tensor:
   *
   * <pre>{@code
   * gradGate[b, i] = bias[inputIdx[b, i]] . sum over j of gradOut[b, j]
   * }</pre>
   *
   * <p>It is the part of the gate's gradient that comes through the bias. Another part comes
   * through the products, if the gate weights them as well.
   */
  public static FloatTensor gradGate(FloatTensor bias, FloatTensor gradOut, BlockPlan plan) {
    requireNonNull(plan, "plan");
    return FloatTensor.zeros(plan.inputs().shape())
        .filledBy(gradGate -> gradGate(bias, gradOut, plan, GradientOptions.overwrite(), gradGate));
  }

  /**
   * As above, written to {@code gradGate}, or added to it as the options say: to the part that
   * comes through the products. An element that was infinite becomes NaN if the gradient is added.
   *
   * @throws IllegalArgumentException also if the options have an activation or a gate
   */
  public static void gradGate(
      FloatTensor bias,
      FloatTensor gradOut,
      BlockPlan plan,
      GradientOptions options,
      FloatTensor gradGate) {
    check(gradOut, null, plan, "bias", bias);
    plan.inputs().requireElements("gradGate", gradGate, GATE);
    GradientOptions.requirePlain(options, "gradGate");
    Check.noOverlap("gradGate", gradGate, "bias", bias);
    Check.noOverlap("gradGate", gradGate, "gradOut", gradOut);
    try (Lease lease = lease(gradOut, null).of("bias", bias).writing("gradGate", gradGate)) {
      InputBiasTable table = table(plan, lease, bias);
      if (options.accumulates()) {
        table.addGradGate(KernelOperands.rows(gradOut), options.alpha(), gradGate.storage());
      } else {
        table.gradGate(KernelOperands.rows(gradOut), gradGate.storage());
      }
    }
  }

  /**
   * A step of training, as {@link SparseBlockDot#stepW}: each row whose block a sample selects
   * follows its gradient. Biases do not decay.
   *
   * @param bias a tensor that the state was made for
   * @throws IllegalArgumentException also if the state was not made for the bias
   * @throws IllegalStateException also if the state is closed
   * @throws OutOfMemoryError that names the bytes, if there is no memory for what the optimizer
   *     keeps, and nothing has changed then; or for what a worker needs on the way, when some
   *     blocks may have made the step and others not
   */
  public static void step(
      FloatTensor gradOut,
      FloatTensor gate,
      BlockPlan plan,
      Optimizer optimizer,
      FloatTensor bias,
      OptimizerState state) {
    int oSize = check(gradOut, gate, plan, "bias", bias);
    requireNonNull(optimizer, "optimizer");
    requireNonNull(state, "state");
    noOverlap("bias", bias, gradOut, gate);
    try (Lease lease = lease(gradOut, gate).writing("bias", bias)) {
      InputBiasTable table = table(plan, lease, bias);
      state.step(
          "bias",
          bias,
          optimizer,
          table.engine().kernels(),
          (step, tensor) -> {
            if (oSize > 0) {
              table.step(storage(gate), KernelOperands.rows(gradOut), step, tensor);
            }
          });
    }
  }

  /** The size of a row of the output. */
  private static int check(
      FloatTensor gradOut, FloatTensor gate, BlockPlan plan, String name, FloatTensor bias) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    if (gate != null) {
      plan.inputs().requireElements("gate", gate, GATE);
    }
    Check.shape(name, bias, BIAS, plan.iBlocks(), oSize);
    return (int) oSize;
  }

  private static void noOverlap(
      String name, FloatTensor bias, FloatTensor gradOut, FloatTensor gate) {
    Check.noOverlap(name, bias, "gradOut", gradOut);
    if (gate != null) {
      Check.noOverlap(name, bias, "gate", gate);
    }
  }

  private static Lease lease(FloatTensor gradOut, FloatTensor gate) {
    return new Lease().of("gradOut", gradOut).of("gate", gate);
  }

  private static Storage storage(FloatTensor gate) {
    return gate == null ? null : gate.storage();
  }

  private static InputBiasTable table(BlockPlan plan, Lease lease, FloatTensor bias) {
    return new InputBiasTable(
        plan.workers().engine(), plan.samples(lease), KernelOperands.rows(bias));
  }
}
