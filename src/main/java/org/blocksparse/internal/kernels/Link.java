// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/** The function from the logits of a level to probabilities. */
public enum Link {
  /** Exactly one of the level's things is there: softmax. */
  SOFTMAX,

  /** Each of them is there or not, whatever the others are: the logistic function. */
  LOGISTIC;

  /** Logits become probabilities, in place; operands as of {@link RowKernels#blockSoftmax}. */
  public void apply(
      Kernels kernels,
      boolean logarithm,
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      Storage valid,
      Storage scale,
      Rows c) {
    int n = Math.toIntExact(c.stride());
    switch (this) {
      case SOFTMAX ->
          kernels
              .rows()
              .blockSoftmax(logarithm, schedule, chunkBegin, chunkEnd, n, valid, scale, c);
      case LOGISTIC ->
          kernels
              .rows()
              .blockSigmoid(logarithm, schedule, chunkBegin, chunkEnd, n, valid, scale, c);
    }
  }

  /** The most that the probabilities of {@code n} things are together. */
  public double most(int n) {
    return this == SOFTMAX ? 1 : n;
  }
}
