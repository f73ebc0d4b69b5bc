// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.lang.reflect.Field;
import org.blocksparse.internal.backend.KernelChoice;

/**
 * Puts other kernels in the place of those that all operations use, for a while, in a JVM of its
 * own: operations that take no workers, as {@code Activation.apply(z, a)}, cannot be given others
 * by {@code KernelWorkers}. By reflection, since production code has no switch for tests.
 */
public final class ChosenKernels implements AutoCloseable {
  private final Kernels before = KernelChoice.kernels();

  private ChosenKernels() {}

  /** From now on these are used. */
  public static ChosenKernels of(Kernels kernels) {
    ChosenKernels chosen = new ChosenKernels();
    choose(kernels);
    return chosen;
  }

  /** From now on those are used that were chosen before. */
  @Override
  public void close() {
    choose(before);
  }

  private static void choose(Kernels kernels) {
    try {
      Field chosen = KernelChoice.class.getDeclaredField("chosen");
      chosen.setAccessible(true);
      chosen.set(null, kernels);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }
}
