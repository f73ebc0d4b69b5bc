// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.TensorStates;
import org.blocksparse.internal.training.InputBiasTable;

/**
 * Gradients and steps of a bias of <i>input</i> blocks. For example, if the experts of a mixture
 * are input blocks, each expert has its own bias, weighted by the same gate as its products:
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
 * <p>The gate may be null: then each factor is 1. If a sample selects an input block n times, its
 * bias is added n times.
 *
 * <p>The error of a gradient element that is a sum of n terms is at most (n + 3) 2<sup>-24</sup>
 * times the sum of their magnitudes. Results are bitwise identical for any workers. For everything
 * else, including exceptions, see {@link SparseBlockDot}.
 */
public final class InputBias {
  private static final String BIAS = "(iBlocks, oSize)";
  private static final String GATE = "(batch, iWin)";
  private static final String OUTPUT = "(batch, oWin, oSize)";

  private InputBias() {}

  /**
   * Returns the gradient with respect to the bias, in a new tensor; zero for blocks that no sample
   * selects:
   *
   * <pre>{@code
   * gradBias[k] = sum over b, i with inputIdx[b, i] = k, and over j, of  gate[b, i] * gradOut[b, j]
   * }</pre>
   */
  public static FloatTensor gradBias(FloatTensor gradOut, FloatTensor gate, BlockPlan plan) {
    requireNonNull(plan, "plan");
    long oSize = plan.outputs().requireAnySize("gradOut", gradOut, OUTPUT);
    return KernelOperands.filled(
        FloatTensor.zeros(plan.iBlocks(), oSize),
        gradBias -> gradBias(gradOut, gate, plan, GradientOptions.add(1), gradBias));
  }

  /**
   * Computes the gradient with respect to the bias and writes it or adds it to {@code gradBias}, by
   * the options. Only rows of blocks that a sample selects are touched. Added to the bias itself
   * with a negative factor, this is a step of gradient descent. If the gradient is added, an
   * infinite element becomes NaN.
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
    Check.plain(options, "gradBias");
    noOverlap("gradBias", gradBias, gradOut, gate);
    try (OperandLease lease = lease(gradOut, gate).writing("gradBias", gradBias)) {
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
    try (OperandLease lease = new OperandLease().writing("gradBias", gradBias)) {
      table(plan, lease, gradBias).clear();
    }
  }

  /**
   * Returns the gradient with respect to the gate, in a new tensor:
   *
   * <pre>{@code
   * gradGate[b, i] = bias[inputIdx[b, i]] . sum over j of gradOut[b, j]
   * }</pre>
   *
   * <p>This is the part of the gate's gradient that comes through the bias. If the gate also
   * weights the products, another part comes through these.
   */
  public static FloatTensor gradGate(FloatTensor bias, FloatTensor gradOut, BlockPlan plan) {
    requireNonNull(plan, "plan");
    return KernelOperands.filled(
        FloatTensor.zeros(plan.inputs().shape()),
        gradGate -> gradGate(bias, gradOut, plan, GradientOptions.overwrite(), gradGate));
  }

  /**
   * Computes {@link #gradGate(FloatTensor, FloatTensor, BlockPlan)} and writes it or adds it to
   * {@code gradGate}, by the options: for example, added to the part that comes through the
   * products. If the gradient is added, an infinite element becomes NaN.
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
    Check.plain(options, "gradGate");
    Check.noOverlap("gradGate", gradGate, "bias", bias);
    Check.noOverlap("gradGate", gradGate, "gradOut", gradOut);
    try (OperandLease lease = lease(gradOut, null).of("bias", bias).writing("gradGate", gradGate)) {
      InputBiasTable table = table(plan, lease, bias);
      if (options.accumulates()) {
        table.addGradGate(
            KernelOperands.rows(gradOut), options.alpha(), Dense.from(gradGate).storage());
      } else {
        table.gradGate(KernelOperands.rows(gradOut), Dense.from(gradGate).storage());
      }
    }
  }

  /**
   * Makes a training step, as {@link SparseBlockDot#stepW}: updates the row of each block that a
   * sample selects. Biases do not decay.
   *
   * @param bias a tensor that the state was created for
   * @throws IllegalArgumentException also if the state was not created for the bias
   * @throws IllegalStateException also if the state is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes. If
   *     the optimizer state does not fit, nothing changes. If a worker's temporary memory does not
   *     fit, some blocks may be updated and others not
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
    try (OperandLease lease = lease(gradOut, gate).writing("bias", bias)) {
      InputBiasTable table = table(plan, lease, bias);
      TensorStates.from(state)
          .step(
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

  /** Returns the size of a row of the output. */
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

  private static OperandLease lease(FloatTensor gradOut, FloatTensor gate) {
    return new OperandLease().of("gradOut", gradOut).of("gate", gate);
  }

  private static Storage storage(FloatTensor gate) {
    return gate == null ? null : Dense.from(gate).storage();
  }

  private static InputBiasTable table(BlockPlan plan, OperandLease lease, FloatTensor bias) {
    return new InputBiasTable(
        Engine.from(plan.workers()), plan.samples(lease), KernelOperands.rows(bias));
  }
}
