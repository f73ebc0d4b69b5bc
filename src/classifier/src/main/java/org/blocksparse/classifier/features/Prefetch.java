// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;
import org.blocksparse.Workers;

/**
 * Starts work on another thread before its result is asked for. The caller runs the task itself if
 * it has not started.
 */
public final class Prefetch {
  private Prefetch() {}

  /**
   * Returns whether there is another thread, which only the common pool provides: work must stay on
   * a caller's executor.
   */
  static boolean isPossible(Workers workers) {
    return workers == Workers.common() && workers.max() > 1;
  }

  /** Starts work on another thread, if there is one. */
  public static <T> FutureTask<T> begin(Supplier<T> work, Workers workers) {
    FutureTask<T> task = new FutureTask<>(work::get);
    if (isPossible(workers)) {
      ForkJoinPool.commonPool().execute(task);
    }
    return task;
  }

  /** Returns the result; or the exception that the work ended with, as it is. */
  public static <T> T result(FutureTask<T> task) {
    task.run(); // does nothing if it has begun
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true; // the interrupt is for the caller
        } catch (ExecutionException e) {
          if (e.getCause() instanceof Error error) {
            throw error;
          }
          throw (RuntimeException) e.getCause(); // a supplier throws no other
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
