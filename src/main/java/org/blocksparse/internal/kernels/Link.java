// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.binding.Blocksparse;

/** The function from the logits of a level to probabilities. */
public enum Link {
  /** Exactly one element of the level applies: softmax. */
  SOFTMAX(Blocksparse.BLOCKSPARSE_SOFTMAX),

  /** Each element applies or not, independently: the logistic function. */
  LOGISTIC(Blocksparse.BLOCKSPARSE_LOGISTIC);

  private final int code;

  Link(int code) {
    this.code = code;
  }

  /** Returns the number of this link in the C header, {@code blocksparse_link}. */
  int code() {
    return code;
  }

  /** Returns the maximum sum of the probabilities of {@code n} outputs. */
  public double most(int n) {
    return this == SOFTMAX ? 1 : n;
  }
}
