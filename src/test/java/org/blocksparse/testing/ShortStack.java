// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Runs what is given where the stack is nearly used up. */
public final class ShortStack {
  private static final int BYTES = 256 << 10;

  private final int frames;
  private final Runnable task;
  private boolean unwinding;
  private int unwound;

  private ShortStack(int frames, Runnable task) {
    this.frames = frames;
    this.task = task;
  }

  /** Runs a task on a thread with a small stack, which is soon filled. */
  public static void onThread(Runnable task) throws InterruptedException, ExecutionException {
    FutureTask<Void> result = new FutureTask<>(task, null);
    Thread thread = new Thread(null, result, "short", BYTES);
    thread.setDaemon(true); // what hangs ends with the tests
    thread.start();
    result.get();
  }

  /**
   * Fills the stack of this thread, and runs a task so many frames before its end.
   *
   * @throws StackOverflowError if the task does
   */
  public static void fill(int frames, Runnable task) {
    new ShortStack(frames, task).descend();
  }

  private void descend() {
    if (!unwinding) {
      try {
        descend();
      } catch (StackOverflowError e) {
        if (unwinding) {
          throw e; // of the task
        }
        unwinding = true;
      }
    }
    if (unwinding && unwound++ == frames) {
      task.run();
    }
  }
}
