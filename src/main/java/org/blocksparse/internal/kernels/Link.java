// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.binding.Blocksparse;

/** The function from the logits of a level to probabilities. */
public enum Link {
  /** Exactly one of the level's things is there: softmax. */
  SOFTMAX(Blocksparse.BLOCKSPARSE_SOFTMAX),

  /** Each of them is there or not, whatever the others are: the logistic function. */
  LOGISTIC(Blocksparse.BLOCKSPARSE_LOGISTIC);

  private final int code;

  Link(int code) {
    this.code = code;
  }

  /** Returns the number of this link in the C header, {@code blocksparse_link}. */
  int code() {
    return code;
  }

  /** Returns the most that the probabilities of {@code n} things are together. */
  public double most(int n) {
    return this == SOFTMAX ? 1 : n;
  }
}
