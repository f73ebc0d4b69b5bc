// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.function.BiConsumer;
import org.blocksparse.internal.ActivationInput;
import org.blocksparse.internal.BlockProduct.ReadBias;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Scratch;

/**
 * Operations around the products of a {@link SparseBlockDot}: the start of their sums, and steps
 * that follow in the same pass, while the sums are in the cache:
 *
 * <pre>{@code
 * z[b, j]   = bias[outputIdx[b, j]]
 *           + sum over i of  inputGate[b, i] * inputBias[inputIdx[b, i]]
 *           + sum over i of  h[b, i] . W[inputIdx[b, i], outputIdx[b, j]]
 * out[b, j] = gate[b, j] * f(z[b, j])
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th></tr>
 *   <tr><td>bias</td><td>(oBlocks, oSize)</td></tr>
 *   <tr><td>inputBias</td><td>(iBlocks, oSize)</td></tr>
 *   <tr><td>inputGate</td><td>(batch, iWin); with a ragged plan (entries of inputs)</td></tr>
 *   <tr><td>z</td><td>(batch, oWin, oSize); with a ragged plan (entries of outputs, oSize)</td></tr>
 *   <tr><td>gate</td><td>(batch, oWin); with a ragged plan (entries of outputs)</td></tr>
 *   <tr><td>out</td><td>as z; half of oSize if f is gated</td></tr>
 * </table>
 *
 * <p>Everything is optional. Gradients: of bias by {@link SparseBlockDot#gradB}, of inputBias and
 * inputGate by {@link InputBias}, of z and gate by {@link Activation#gradient}, or together with
 * the gradient of the layer above by {@link GradientOptions}. Results have the bits that the
 * product has with {@link Activation#apply} called on it.
 *
 * <p>Immutable, and holds its tensors without a copy: they are looked at when it is used, and stay
 * the caller's to close. Tensors that do not fit are refused then, by the names above, with the
 * exceptions of {@link SparseBlockDot}; z is written, and must share memory with nothing else.
 */
public final class Epilogue {
  private static final Epilogue NONE = new Epilogue(null, null, null, null, null, null);
  private static final String Z = "(batch, oWin, oSize)";

  private final FloatTensor bias;
  private final FloatTensor inputBias;
  private final FloatTensor inputGate;
  private final Activation activation;
  private final FloatTensor z;
  private final FloatTensor gate;

  private Epilogue(
      FloatTensor bias,
      FloatTensor inputBias,
      FloatTensor inputGate,
      Activation activation,
      FloatTensor z,
      FloatTensor gate) {
    this.bias = bias;
    this.inputBias = inputBias;
    this.inputGate = inputGate;
    this.activation = activation;
    this.z = z;
    this.gate = gate;
  }

  /** Nothing: the product alone. */
  public static Epilogue none() {
    return NONE;
  }

  /**
   * A bias for each output block.
   *
   * @param value (oBlocks, oSize)
   */
  public Epilogue withBias(FloatTensor value) {
    requireNonNull(value, "bias");
    return new Epilogue(value, inputBias, inputGate, activation, z, gate);
  }

  /**
   * A bias for each input block, added to every output of a sample that selects the block, as often
   * as it does: that of experts which are input blocks.
   *
   * @param value (iBlocks, oSize)
   */
  public Epilogue withInputBias(FloatTensor value) {
    requireNonNull(value, "inputBias");
    return new Epilogue(bias, value, null, activation, z, gate);
  }

  /**
   * A bias for each input block, times a factor. Where the gate of a mixture of experts is folded
   * into h, which the experts' second product reads, the experts' bias has the same gate.
   *
   * @param value (iBlocks, oSize)
   * @param factor (batch, iWin); with a ragged plan (entries of inputs)
   */
  public Epilogue withInputBias(FloatTensor value, FloatTensor factor) {
    requireNonNull(value, "inputBias");
    requireNonNull(factor, "inputGate");
    return new Epilogue(bias, value, factor, activation, z, gate);
  }

  /**
   * An activation. Its input is not kept; for gradients, see {@link #withActivation(Activation,
   * FloatTensor)}. If it is gated, the sums take memory for the time of the call.
   */
  public Epilogue withActivation(Activation f) {
    requireNonNull(f, "activation");
    return new Epilogue(bias, inputBias, inputGate, f, null, gate);
  }

  /**
   * An activation, with what it is applied to.
   *
   * @param sums where z is written, for the gradient: (batch, oWin, oSize); its content before does
   *     not matter. {@link GradientOptions#withActivation} needs what this pass writes: nothing
   *     notices a z that no pass has written
   */
  public Epilogue withActivation(Activation f, FloatTensor sums) {
    requireNonNull(f, "activation");
    requireNonNull(sums, "z");
    return new Epilogue(bias, inputBias, inputGate, f, sums, gate);
  }

  /**
   * A factor for each row of the output, after the activation if there is one. So the gate of a
   * mixture of experts is in what their second product reads, and its sums are those of the
   * mixture. {@link GradientOptions#withGate} has to be given the same gate: nothing notices a gate
   * that only one of the two passes has.
   *
   * @param factor (batch, oWin); with a ragged plan (entries of outputs)
   */
  public Epilogue withGate(FloatTensor factor) {
    requireNonNull(factor, "gate");
    return new Epilogue(bias, inputBias, inputGate, activation, z, factor);
  }

  /** The size of a row of the output, given that of the sums. */
  long outSize(long oSize) {
    return activation != null && activation.isGated() ? oSize / 2 : oSize;
  }

  /** Shapes fit the plan. */
  void require(BlockPlan plan, long oSize) {
    if (activation != null && activation.isGated() && oSize % 2 != 0) {
      throw new IllegalArgumentException(
          "W: expected an even oSize, for the two halves of " + activation + ", but was " + oSize);
    }
    if (bias != null) {
      Check.shape("bias", bias, "(oBlocks, oSize)", plan.oBlocks(), oSize);
    }
    if (inputBias != null) {
      Check.shape("inputBias", inputBias, "(iBlocks, oSize)", plan.iBlocks(), oSize);
    }
    if (inputGate != null) {
      plan.inputs().requireElements("inputGate", inputGate, "(batch, iWin)");
    }
    if (z != null) {
      plan.outputs().require("z", z, Z, oSize);
    }
    if (gate != null) {
      plan.outputs().requireElements("gate", gate, "(batch, oWin)");
    }
  }

  /** Calls for each tensor that is read, by its name. */
  void forEachInput(BiConsumer<String, FloatTensor> action) {
    forIfAny(action, "bias", bias);
    forIfAny(action, "inputBias", inputBias);
    forIfAny(action, "inputGate", inputGate);
    forIfAny(action, "gate", gate);
  }

  private static void forIfAny(
      BiConsumer<String, FloatTensor> action, String name, FloatTensor tensor) {
    if (tensor != null) {
      action.accept(name, tensor);
    }
  }

  /** The input of the activation, which is written; or null. */
  FloatTensor z() {
    return z;
  }

  /** Whether anything follows the sums. */
  boolean isIdentity() {
    return (activation == null || (activation == Activation.IDENTITY && z == null)) && gate == null;
  }

  Rows bias() {
    return bias == null ? null : KernelOperands.rows(bias);
  }

  /** Memory that the factors of the input bias take where none are given, or null. */
  Scratch borrowOnes(BlockPlan plan) {
    if (inputBias == null || inputGate != null) {
      return null;
    }
    Scratch ones = Scratch.borrow(plan.inputRows());
    ones.storage().fill(0, plan.inputRows(), 1);
    return ones;
  }

  /** The bias of input blocks, or null. */
  ReadBias inputBias(BlockPlan plan, Scratch ones) {
    if (inputBias == null) {
      return null;
    }
    int oSize = (int) inputBias.shape().dim(1);
    Blocks blocks =
        new Blocks(
            inputBias.storage(), plan.iBlocks(), plan.oBlocks(), 1, oSize, oSize, 0, oSize, false);
    return new ReadBias(
        new Rows(inputGate == null ? ones.storage() : inputGate.storage(), plan.inputRows(), 1),
        blocks);
  }

  /** Memory for the sums where the output has no room for them, or null. */
  Scratch borrowSums(BlockPlan plan, long oSize) {
    return activation != null && activation.isGated() && z == null
        ? Scratch.borrow(Math.multiplyExact(plan.outputRows(), oSize))
        : null;
  }

  /** The activation as it is applied to sums. */
  ActivationInput input(Rows sums, long outSize) {
    Activation f = activation == null ? Activation.IDENTITY : activation;
    return f.input(outSize, sums, gate);
  }
}
