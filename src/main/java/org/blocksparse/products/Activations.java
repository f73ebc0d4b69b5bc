// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.Workers;
import org.blocksparse.internal.tensors.Check;

/**
 * An {@link Activation} f of a tensor, with its gradient, and optionally a factor for each row, the
 * gate:
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
 * <p><b>For the gradient</b>, the caller keeps z: {@link #gradient} takes z, not a.
 *
 * <p><b>Numbers.</b> For finite z, the error of native kernels is at most 8 ulp or
 * 2<sup>-141</sup>, whichever is larger; for {@link Activation#GELU_TANH}, {@link
 * Activation#GEGLU_TANH} and {@link Activation#CLAMPED_SWIGLU}, 8 ulp or 2<sup>-24</sup>. The error
 * of slopes is at most 6 ulp or 2<sup>-23</sup>, whichever is larger. The C header has a table. A
 * gate, the second half of a row and gradA add one rounding each. Native kernels multiply these
 * from left to right in float32, and a product that overflows or underflows on the way stays so;
 * only alpha times a gate may. NaN gives NaN. Infinities follow the formula in float32, where 0
 * times infinity is NaN: {@link Activation#SILU} and the GELUs of -infinity are NaN, as in PyTorch.
 * Results are bitwise identical for any workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument but a gate is
 * null, {@link IllegalArgumentException} if a shape does not fit, if a tensor is a transposed view,
 * if alpha is not finite, or if an output shares memory with an argument where that is not allowed,
 * and {@link IllegalStateException} if a tensor is closed or, to be written, read-only; nothing is
 * written then.
 */
public final class Activations {
  private Activations() {}

  /** Computes a = f(z), without a gate, by {@link Workers#common}. */
  public static void apply(Activation f, FloatTensor z, FloatTensor a) {
    apply(f, z, null, a, Workers.common());
  }

  /**
   * Computes a[r] = gate[r] * f(z[r]) for each row r.
   *
   * @param f the activation
   * @param z (..., n), or (..., 2 n) if f is gated
   * @param gate (...): a factor for each row; null if each is 1
   * @param a (..., n); its previous content is overwritten; it may be z itself, unless f is gated
   * @param workers the threads that compute
   */
  public static void apply(
      Activation f, FloatTensor z, FloatTensor gate, FloatTensor a, Workers workers) {
    new ActivationCall(f, z, gate, a, "a").apply(requireNonNull(workers, "workers"));
  }

  /** Computes the gradient with respect to z, without a gate, by {@link Workers#common}. */
  public static void gradient(Activation f, FloatTensor z, FloatTensor gradA, FloatTensor gradZ) {
    gradient(f, z, gradA, GradientOptions.overwrite(), gradZ, Workers.common());
  }

  /**
   * Computes the gradient with respect to z: {@code gradZ = gradA * f'(z)}; if f is gated, {@code
   * gradZ[r, q] = gradA[r, q] * z[r, n + q] * f'(z[r, q])} and {@code gradZ[r, n + q] = gradA[r, q]
   * * f(z[r, q])}.
   *
   * <p>With a gate, {@code gradZ[r] = gate[r] * f'(z[r]) * gradA[r]}, and {@code gradGate[r]} is
   * the sum over q of {@code gradA[r, q] * f(z[r])[q]}, off by at most (n + 16) 2<sup>-24</sup>
   * times the sum of the magnitudes.
   *
   * @param f the activation
   * @param z its input, (..., n), or (..., 2 n) if f is gated
   * @param gradA (..., n): the gradient with respect to a
   * @param options whether gradients are written or added, and a gate of (...); no activation
   * @param gradZ the grad z of the shape of z. It may be gradA itself, unless f is gated or the
   *     gradient is added
   * @param workers the threads that compute
   */
  public static void gradient(
      Activation f,
      FloatTensor z,
      FloatTensor gradA,
      GradientOptions options,
      FloatTensor gradZ,
      Workers workers) {
    Check.noActivation(options, "Activations.gradient");
    new ActivationCall(f, z, options.gate(), gradA, "gradA")
        .gradient(options, gradZ, requireNonNull(workers, "workers"));
  }
}
