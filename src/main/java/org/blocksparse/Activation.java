// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.tensors.ActivationCall;
import org.blocksparse.internal.tensors.Check;

/**
 * An activation function, element by element, with its gradient, and optionally a factor for each
 * row, the gate:
 *
 * <pre>{@code
 * a[r, :] = gate[r] * f(z[r, :])
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>argument</th><th>shape</th></tr>
 *   <tr><td>z, gradZ</td><td>(..., n), or (..., 2 n) if f is gated</td></tr>
 *   <tr><td>gate, gradGate</td><td>(...): the shape of z without its last dimension</td></tr>
 *   <tr><td>a, gradA</td><td>(..., n)</td></tr>
 * </table>
 *
 * <p><b>Gated activations</b> ({@link #isGated}; Shazeer, 2020) apply a function to the first half
 * of a row and multiply it by the second half: {@code a[r, q] = f(z[r, q]) * z[r, n + q]} (what
 * {@link #CLAMPED_SWIGLU} makes of it). So a layer with gate and up projection has both side by
 * side in its weights, the gate projection first: {@code gate_proj} before {@code up_proj} of Llama
 * and Mistral, {@code w1} before {@code w3} of Mixtral. Files with a fused {@code gate_up_proj}
 * have this order. (The GEGLU of diffusers and PyTorch's {@code glu} have the opposite order.)
 *
 * <p><b>For the gradient</b>, the caller keeps z: {@link #gradient} takes z, not a.
 *
 * <p><b>Numbers.</b> For finite z, the error of native kernels is at most 8 ulp or
 * 2<sup>-141</sup>, whichever is larger; for {@link #GELU_TANH}, {@link #GEGLU_TANH} and {@link
 * #CLAMPED_SWIGLU}, 8 ulp or 2<sup>-24</sup>. The error of slopes is at most 6 ulp or
 * 2<sup>-23</sup>, whichever is larger. The C header has a table. A gate, the second half of a row
 * and gradA add one rounding each. Native kernels multiply these from left to right in float32, and
 * a product that overflows or underflows on the way stays so; only alpha times a gate may. NaN
 * gives NaN. Infinities follow the formula in float32, where 0 times infinity is NaN: {@link #SILU}
 * and the GELUs of -infinity are NaN, as in PyTorch. Results are bitwise identical for any workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument but a gate is
 * null, {@link IllegalArgumentException} if a shape does not fit, if a tensor is a transposed view,
 * if alpha is not finite, or if an output shares memory with an argument where that is not allowed,
 * and {@link IllegalStateException} if a tensor is closed or, to be written, read-only; nothing is
 * written then.
 */
public enum Activation {
  /** f(z) = z: for a gate alone. */
  IDENTITY(false),

  /** f(z) = max(0, z); its slope at 0 is 0. */
  RELU(false),

  /**
   * f(z) = z &Phi;(z), &Phi; being the cumulative distribution of the standard normal distribution
   * (Hendrycks and Gimpel, 2016): the exact one.
   */
  GELU(false),

  /** f(z) = z / 2 (1 + tanh(sqrt(2 / &pi;) (z + 0.044715 z<sup>3</sup>))): GELU by tanh. */
  GELU_TANH(false),

  /** f(z) = z / (1 + exp(-z)), also known as swish. */
  SILU(false),

  /** f(z) = tanh(z). */
  TANH(false),

  /** f(z) = 1 / (1 + exp(-z)). */
  SIGMOID(false),

  /** Gated, with {@link #SILU} of the first half. */
  SWIGLU(true),

  /** Gated, with {@link #GELU} of the first half. */
  GEGLU(true),

  /**
   * Gated, as the experts of gpt-oss have it: {@code a = (u + 1) * g / (1 + exp(-1.702 g))} with g
   * = min(z[q], 7) and u = min(max(z[n + q], -7), 7). The slope is 0 where a half is clamped.
   *
   * @see <a
   *     href="https://github.com/huggingface/transformers/blob/v4.55.0/src/transformers/models/gpt_oss/modeling_gpt_oss.py#L106-L110">the
   *     formula in Hugging Face's transformers</a>, whose weights have the halves interleaved
   */
  CLAMPED_SWIGLU(true),

  /** Gated, with {@link #GELU_TANH} of the first half, as in Gemma. */
  GEGLU_TANH(true);

  private final boolean gated;

  Activation(boolean gated) {
    this.gated = gated;
  }

  /** Returns whether an input row has two halves, and the output row half its size. */
  public boolean isGated() {
    return gated;
  }

  /** Computes a = f(z), without a gate, by {@link Workers#common}. */
  public void apply(FloatTensor z, FloatTensor a) {
    apply(z, null, a, Workers.common());
  }

  /**
   * Computes a[r] = gate[r] * f(z[r]) for each row r.
   *
   * @param z (..., n), or (..., 2 n) if this is gated
   * @param gate (...): a factor for each row; null if each is 1
   * @param a (..., n); its previous content is overwritten; it may be z itself, unless this is
   *     gated
   * @param workers the threads that compute
   */
  public void apply(FloatTensor z, FloatTensor gate, FloatTensor a, Workers workers) {
    new ActivationCall(this, z, gate, a, "a").apply(requireNonNull(workers, "workers"));
  }

  /** Computes the gradient with respect to z, without a gate, by {@link Workers#common}. */
  public void gradient(FloatTensor z, FloatTensor gradA, FloatTensor gradZ) {
    gradient(z, gradA, GradientOptions.overwrite(), gradZ, Workers.common());
  }

  /**
   * Computes the gradient with respect to z: {@code gradZ = gradA * f'(z)}; if this is gated,
   * {@code gradZ[r, q] = gradA[r, q] * z[r, n + q] * f'(z[r, q])} and {@code gradZ[r, n + q] =
   * gradA[r, q] * f(z[r, q])}.
   *
   * <p>With a gate, {@code gradZ[r] = gate[r] * f'(z[r]) * gradA[r]}, and {@code gradGate[r]} is
   * the sum over q of {@code gradA[r, q] * f(z[r])[q]}, off by at most (n + 16) 2<sup>-24</sup>
   * times the sum of the magnitudes.
   *
   * @param z the input of the activation, (..., n), or (..., 2 n) if this is gated
   * @param gradA (..., n): the gradient with respect to a
   * @param options whether gradients are written or added, and a gate of (...); no activation
   * @param gradZ the grad z of the shape of z. It may be gradA itself, unless this is gated or the
   *     gradient is added
   * @param workers the threads that compute
   */
  public void gradient(
      FloatTensor z,
      FloatTensor gradA,
      GradientOptions options,
      FloatTensor gradZ,
      Workers workers) {
    Check.noActivation(options, "Activation.gradient");
    new ActivationCall(this, z, options.gate(), gradA, "gradA")
        .gradient(options, gradZ, requireNonNull(workers, "workers"));
  }
}
