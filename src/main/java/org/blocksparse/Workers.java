// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.concurrent.Executor;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * The threads of an operation: the calling thread, and helpers from an executor.
 *
 * <p>The calling thread always works, too, and never waits for a helper that has not started. So an
 * operation finishes even if the executor is busy, shut down, or the pool of the calling thread
 * itself. Small operations run on the calling thread alone, and large ones that run at the same
 * time share the processors. The bits of a result do not depend on the workers.
 *
 * <p>Immutable.
 */
public sealed interface Workers permits Engine {
  /** As many workers as there are processors, from the common pool; the default. */
  static Workers common() {
    return KernelChoice.COMMON;
  }

  /** The calling thread alone. */
  static Workers callingThread() {
    return KernelChoice.CALLING_THREAD;
  }

  /**
   * Helpers from an executor.
   *
   * @param executor runs the helpers; stays the caller's
   * @param maxWorkers the most threads that work on one operation, the calling one included; more
   *     than 64, or four for each processor if that is more, are never asked for
   * @throws IllegalArgumentException if {@code maxWorkers} is less than 1
   */
  static Workers of(Executor executor, int maxWorkers) {
    requireNonNull(executor, "executor");
    if (maxWorkers < 1) {
      throw new IllegalArgumentException("maxWorkers: expected at least 1 but was " + maxWorkers);
    }
    return KernelChoice.engine(new Scheduler(executor, maxWorkers));
  }

  /** The most threads that work on one operation. */
  int max();
}
