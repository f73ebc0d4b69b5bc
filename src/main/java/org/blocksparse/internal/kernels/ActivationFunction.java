// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.binding.Blocksparse;

/**
 * A function of each element of a row; see {@code blocksparse_activation} in the C header. Of a
 * gated one, a row that it is applied to has 2 n elements, and n come out.
 */
public enum ActivationFunction {
  IDENTITY(Blocksparse.BLOCKSPARSE_IDENTITY, false),
  RELU(Blocksparse.BLOCKSPARSE_RELU, false),
  GELU(Blocksparse.BLOCKSPARSE_GELU, false),
  GELU_TANH(Blocksparse.BLOCKSPARSE_GELU_TANH, false),
  SILU(Blocksparse.BLOCKSPARSE_SILU, false),
  TANH(Blocksparse.BLOCKSPARSE_TANH, false),
  SIGMOID(Blocksparse.BLOCKSPARSE_SIGMOID, false),
  SWIGLU(Blocksparse.BLOCKSPARSE_SWIGLU, true),
  GEGLU(Blocksparse.BLOCKSPARSE_GEGLU, true),
  CLAMPED_SWIGLU(Blocksparse.BLOCKSPARSE_SWIGLU_CLAMPED, true);

  private final int number;
  private final boolean gated;

  ActivationFunction(int number, boolean gated) {
    this.number = number;
    this.gated = gated;
  }

  /** Its number in the C header. */
  int number() {
    return number;
  }

  /** Whether it is the first half of a row that the function is applied to. */
  public boolean isGated() {
    return gated;
  }
}
