// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import java.util.function.BiConsumer;
import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.kernels.ActivationInput;
import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.weights.Blocks;

/**
 * Operations that are fused into the products of a {@link SparseBlockDot}: initial values of the
 * sums, and operations on the sums while they are in the cache:
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
 * <p>Every part is optional. These methods compute gradients: {@link SparseBlockDot#gradB} that of
 * bias, {@link InputBias} those of inputBias and inputGate, and {@link Activations#gradient} those
 * of z and gate. {@link org.blocksparse.GradientOptions} combines the latter with the gradient of
 * the next layer. Results are bitwise equal to the product followed by {@link Activations#apply}.
 *
 * <p>Immutable. It holds its tensors without a copy; the caller still owns and closes them. The
 * product checks them, and throws the exceptions of {@link SparseBlockDot}, with the names above.
 * The product writes z, which must not share memory with another tensor.
 */
public final class Epilogue {
  private static final Epilogue NONE = new Epilogue(null, null, null, null, null, null, false);
  private static final String Z = "(batch, oWin, oSize)";

  private final FloatTensor bias;
  private final FloatTensor inputBias;
  private final FloatTensor inputGate;
  private final Activation activation;
  private final FloatTensor z;
  private final FloatTensor gate;
  private final boolean accumulate;

  private Epilogue(
      FloatTensor bias,
      FloatTensor inputBias,
      FloatTensor inputGate,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      boolean accumulate) {
    this.bias = bias;
    this.inputBias = inputBias;
    this.inputGate = inputGate;
    this.activation = activation;
    this.z = z;
    this.gate = gate;
    this.accumulate = accumulate;
  }

  /** Returns an epilogue without operations. */
  public static Epilogue none() {
    return NONE;
  }

  /**
   * Returns a bias for each output block.
   *
   * @param value (oBlocks, oSize)
   */
  public Epilogue withBias(FloatTensor value) {
    requireNonNull(value, "bias");
    return new Epilogue(value, inputBias, inputGate, activation, z, gate, accumulate);
  }

  /**
   * Returns a bias for each input block, such as that of experts as input blocks. It is added to
   * every output of a sample that selects the block, n times if the sample selects it n times.
   *
   * @param value (iBlocks, oSize)
   */
  public Epilogue withInputBias(FloatTensor value) {
    requireNonNull(value, "inputBias");
    return new Epilogue(bias, value, null, activation, z, gate, accumulate);
  }

  /**
   * Returns a bias for each input block, times a factor. Use it in a mixture of experts whose
   * second product reads an h that includes the gate: pass the same gate as the factor of the
   * experts' bias.
   *
   * @param value (iBlocks, oSize)
   * @param factor (batch, iWin); with a ragged plan (entries of inputs)
   */
  public Epilogue withInputBias(FloatTensor value, FloatTensor factor) {
    requireNonNull(value, "inputBias");
    requireNonNull(factor, "inputGate");
    return new Epilogue(bias, value, factor, activation, z, gate, accumulate);
  }

  /**
   * Returns an activation. Its input is not stored; for gradients, see {@link
   * #withActivation(Activation, FloatTensor)}. If it is gated, the call needs temporary memory for
   * the sums.
   */
  public Epilogue withActivation(Activation f) {
    requireNonNull(f, "activation");
    return new Epilogue(bias, inputBias, inputGate, f, null, gate, accumulate);
  }

  /**
   * Returns an activation that also stores its input.
   *
   * @param sums the tensor to write z to, for the gradient: (batch, oWin, oSize); its previous
   *     content is overwritten. Pass it to {@link org.blocksparse.GradientOptions#withActivation}
   *     after this product has written it: no check detects a z that was not written
   */
  public Epilogue withActivation(Activation f, FloatTensor sums) {
    requireNonNull(f, "activation");
    requireNonNull(sums, "z");
    return new Epilogue(bias, inputBias, inputGate, f, sums, gate, accumulate);
  }

  /**
   * Returns a factor for each row of the output, after the activation if there is one. In a mixture
   * of experts, the second product then reads gated rows, and its sums are the output of the layer.
   * Pass the same gate to {@link org.blocksparse.GradientOptions#withGate}: no check detects a gate
   * that only one of the two passes has.
   *
   * @param factor (batch, oWin); with a ragged plan (entries of outputs)
   */
  public Epilogue withGate(FloatTensor factor) {
    requireNonNull(factor, "gate");
    return new Epilogue(bias, inputBias, inputGate, activation, z, factor, accumulate);
  }

  /**
   * Adds the products, and the input biases if there are any, to the content of {@code out}. The
   * product throws {@link IllegalArgumentException} if there is also a bias, an activation or a
   * gate.
   */
  public Epilogue accumulating() {
    return new Epilogue(bias, inputBias, inputGate, activation, z, gate, true);
  }

  /** Returns whether the sums begin with the content of the output. */
  boolean accumulates() {
    return accumulate;
  }

  /** Returns the size of a row of the output, for a given size of the sums. */
  long outSize(long oSize) {
    return activation != null && activation.isGated() ? oSize / 2 : oSize;
  }

  /** Checks that shapes fit the plan. */
  void require(BlockPlan plan, long oSize) {
    if (accumulate && (bias != null || activation != null || gate != null)) {
      throw new IllegalArgumentException(
          "epilogue: expected no bias, activation or gate, as it is accumulating");
    }
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

  /** Calls an action with each input tensor and its name. */
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

  /** Returns the tensor to write the input of the activation to, or null. */
  FloatTensor z() {
    return z;
  }

  /** Returns whether no operation follows the sums. */
  boolean isIdentity() {
    return (activation == null || (activation == Activation.IDENTITY && z == null)) && gate == null;
  }

  Rows bias() {
    return bias == null ? null : KernelOperands.rows(bias);
  }

  /**
   * Borrows memory for the factors of the input bias if the caller gave none; otherwise returns
   * null.
   */
  Scratch borrowOnes(BlockPlan plan) {
    if (inputBias == null || inputGate != null) {
      return null;
    }
    Scratch ones = Scratch.borrow(plan.inputRows());
    ones.storage().fill(0, plan.inputRows(), 1);
    return ones;
  }

  /**
   * Returns the sums of the biases of input blocks, which are products of their factors with blocks
   * of one row; null if there are none.
   */
  BlockProduct inputBiases(BlockPlan plan, GemmSchedule forward, Scratch ones, Sums sums) {
    if (inputBias == null) {
      return null;
    }
    int oSize = (int) inputBias.shape().dim(1);
    Blocks blocks =
        new Blocks(
            Dense.from(inputBias).storage(),
            plan.iBlocks(),
            plan.oBlocks(),
            1,
            oSize,
            oSize,
            0,
            oSize,
            false);
    Storage factors = inputGate == null ? ones.storage() : Dense.from(inputGate).storage();
    return new BlockProduct(forward, new Rows(factors, plan.inputRows(), 1), blocks, sums);
  }

  /** Borrows memory for the sums if they do not fit into the output; otherwise returns null. */
  Scratch borrowSums(BlockPlan plan, long oSize) {
    return activation != null && activation.isGated() && z == null
        ? Scratch.borrow(Math.multiplyExact(plan.outputRows(), oSize))
        : null;
  }

  /** Returns the activation with the sums as its input. */
  ActivationInput input(Rows sums, long outSize) {
    Activation f = activation == null ? Activation.IDENTITY : activation;
    return KernelOperands.input(f, outSize, sums, gate);
  }
}
