// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.lang.reflect.Field;
import org.blocksparse.internal.backend.KernelChoice;

/**
 * Replaces the kernels that all operations use, for a while, in a JVM of its own: operations
 * without workers, as {@code Activations.apply(f, z, a)}, cannot get others by {@code
 * KernelWorkers}. It works by reflection, since production code has no switch for tests.
 */
public final class ChosenKernels implements AutoCloseable {
  private final Kernels before = KernelChoice.kernels();

  private ChosenKernels() {}

  /** Makes all operations use these kernels. */
  public static ChosenKernels of(Kernels kernels) {
    ChosenKernels chosen = new ChosenKernels();
    choose(kernels);
    return chosen;
  }

  /** Restores the kernels that were in use before. */
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
