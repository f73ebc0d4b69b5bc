// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * An activation function f of a number, or of two if it is gated. Layers and products take one as
 * an option; {@link org.blocksparse.products.Activations} apply one to a tensor.
 *
 * <p><b>Gated activations</b> ({@link #isGated}; Shazeer, 2020) apply a function to the first half
 * of a row and multiply it by the second half: {@code a[r, q] = f(z[r, q]) * z[r, n + q]} (what
 * {@link #CLAMPED_SWIGLU} makes of it). So a layer with gate and up projection has both side by
 * side in its weights, the gate projection first: {@code gate_proj} before {@code up_proj} of Llama
 * and Mistral, {@code w1} before {@code w3} of Mixtral. Files with a fused {@code gate_up_proj}
 * have this order. (The GEGLU of diffusers and PyTorch's {@code glu} have the opposite order.)
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
}
