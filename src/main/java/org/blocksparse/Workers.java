// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.concurrent.Executor;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * The threads of an operation: the calling thread, and helpers, which are threads of the library or
 * tasks of an executor.
 *
 * <p>The calling thread always works, too, and never waits for a helper that has not started. So an
 * operation finishes even if the executor is busy, shut down, or the pool of the calling thread
 * itself. Small operations run on the calling thread alone, and large ones that run at the same
 * time share the processors. The bits of a result do not depend on the workers.
 *
 * <p>Threads of the library are daemons, one fewer than there are processors. After an operation
 * they wait for the next one in a loop, for about as long as waking a thread takes, and then sleep;
 * after some seconds they end. They do not loop while several callers need the processors, or if
 * Linux limits the processor time of the process.
 *
 * <p>Immutable.
 */
public sealed interface Workers permits Engine {
  /** Returns the default: as many workers as there are processors, on threads of the library. */
  static Workers common() {
    return KernelChoice.COMMON;
  }

  /** Returns the calling thread alone. */
  static Workers callingThread() {
    return KernelChoice.CALLING_THREAD;
  }

  /**
   * Returns workers with helpers from an executor.
   *
   * @param executor runs the helpers; stays the caller's
   * @param maxWorkers the maximum number of threads that work on one operation, the calling one
   *     included; more than 64, or four for each processor if that is more, are never asked for
   * @throws IllegalArgumentException if {@code maxWorkers} is less than 1
   */
  static Workers of(Executor executor, int maxWorkers) {
    requireNonNull(executor, "executor");
    if (maxWorkers < 1) {
      throw new IllegalArgumentException("maxWorkers: expected at least 1 but was " + maxWorkers);
    }
    return KernelChoice.engine(new Scheduler(executor, maxWorkers));
  }

  /**
   * Returns the workers of {@link #common}, whose helpers wait in a loop for that time after each
   * operation, under a limit of the processor time, too. So an operation that begins meanwhile need
   * not wake them; until then, they keep processors busy. The system property {@code
   * blocksparse.spin.micros} sets the time of {@link #common} itself.
   *
   * @param time zero: helpers sleep at once
   * @throws IllegalArgumentException if {@code time} is negative or longer than an hour
   * @throws IllegalStateException if helpers come from an executor
   */
  Workers withSpin(Duration time);

  /** Returns the maximum number of threads that work on one operation. */
  int max();
}
