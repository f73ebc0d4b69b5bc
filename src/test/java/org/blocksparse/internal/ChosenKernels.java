// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

/** Lets tests put other kernels in the place of those that all operations use, for a while. */
public final class ChosenKernels implements AutoCloseable {
  private final Kernels before = KernelsProvider.kernels();

  private ChosenKernels() {}

  /** From now on these are used. */
  public static ChosenKernels of(Kernels kernels) {
    ChosenKernels chosen = new ChosenKernels();
    KernelsProvider.chosen = kernels;
    return chosen;
  }

  /** From now on those are used that were chosen before. */
  @Override
  public void close() {
    KernelsProvider.chosen = before;
  }
}
