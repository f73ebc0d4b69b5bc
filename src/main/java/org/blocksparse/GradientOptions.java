// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.tensors.Check;

/**
 * The way to write a gradient: it replaces the content of a tensor, or is added to it. For {@link
 * org.blocksparse.products.SparseBlockDot#gradH(BlockMatrix, FloatTensor,
 * org.blocksparse.products.BlockPlan, GradientOptions, FloatTensor)}, options also have the
 * activation that computed h, so that the gradient continues through it in the same pass. They are
 * the counterpart of {@link org.blocksparse.products.Epilogue}: the epilogue of the previous layer
 * computes {@code h = gate * f(z)}, and these options compute the gradients of z and gate.
 *
 * <pre>{@code
 * gradZ[b, i]    = gate[b, i] * f'(z[b, i]) * gradH[b, i]
 * gradGate[b, i] = f(z[b, i]) . gradH[b, i]
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th></tr>
 *   <tr><td>z</td><td>(batch, iWin, iSize), or 2 iSize with a gated activation</td></tr>
 *   <tr><td>gate, gradGate</td><td>(batch, iWin)</td></tr>
 * </table>
 *
 * <p>Immutable, and holds its tensors without a copy: an operation checks them when it uses the
 * options, and the caller closes them. gradGate is replaced or added to like the gradient itself,
 * and must not share memory with another tensor.
 */
public final class GradientOptions {
  private static final GradientOptions OVERWRITE =
      new GradientOptions(1, false, null, null, null, null);

  private final float alpha;
  private final boolean accumulate;
  private final Activation activation;
  private final FloatTensor z;
  private final FloatTensor gate;
  private final FloatTensor gradGate;

  private GradientOptions(
      float alpha,
      boolean accumulate,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      FloatTensor gradGate) {
    this.alpha = alpha;
    this.accumulate = accumulate;
    this.activation = activation;
    this.z = z;
    this.gate = gate;
    this.gradGate = gradGate;
  }

  /** Returns the gradient replaces the content of the tensor. */
  public static GradientOptions overwrite() {
    return OVERWRITE;
  }

  /**
   * Adds alpha times the gradient to the content of the tensor, for example if several layers read
   * h. Added to a parameter itself with a negative alpha, this is a step of gradient descent. An
   * element of the gradient that overflows stays infinite, for any alpha.
   *
   * @throws IllegalArgumentException if alpha is not finite
   */
  public static GradientOptions add(float alpha) {
    return new GradientOptions(Check.finite("alpha", alpha), true, null, null, null, null);
  }

  /**
   * Continues to the gradient of z, the input of the activation {@code h = f(z)}.
   *
   * @param f the activation
   * @param input z: (batch, iWin, iSize), or 2 iSize with a gated activation; as the forward pass
   *     wrote it, by {@link org.blocksparse.products.Epilogue#withActivation(Activation,
   *     FloatTensor)}. No check detects a z that was not written: zeros give the gradient at 0
   */
  public GradientOptions withActivation(Activation f, FloatTensor input) {
    requireNonNull(f, "activation");
    requireNonNull(input, "z");
    return new GradientOptions(alpha, accumulate, f, input, gate, gradGate);
  }

  /**
   * Takes a gate into account, {@code gate * f(z)}, and writes its gradient.
   *
   * @param factor the gate: (batch, iWin); the same as in {@link
   *     org.blocksparse.products.Epilogue#withGate} of the forward pass. No check detects a forward
   *     pass without the gate; gradients are then wrong
   * @param gradient gradGate: of the shape of the gate
   */
  public GradientOptions withGate(FloatTensor factor, FloatTensor gradient) {
    requireNonNull(factor, "gate");
    requireNonNull(gradient, "gradGate");
    return new GradientOptions(alpha, accumulate, activation, z, factor, gradient);
  }

  /** Returns the factor of the gradient: 1 unless it is added. */
  public float alpha() {
    return alpha;
  }

  /** Returns whether the gradient is added to the content of the tensor. */
  public boolean accumulates() {
    return accumulate;
  }

  /** Returns the activation to go back through; null if the gradient is that of h itself. */
  public Activation activation() {
    return activation;
  }

  /** Returns the input of the activation; null without an activation. */
  public FloatTensor z() {
    return z;
  }

  /** Returns the factor of each row in the forward pass; null without a gate. */
  public FloatTensor gate() {
    return gate;
  }

  /** Returns the tensor for the gradient with respect to the gate; null without a gate. */
  public FloatTensor gradGate() {
    return gradGate;
  }
}
