// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Runs tasks where the stack is nearly full. */
public final class ShortStack {
  private static final int BYTES = 256 << 10;

  private final int every;
  private final Runnable task;
  private int left;
  private int frames;
  private boolean unwinding;
  private int overflows;

  private ShortStack(int frames, int every, int times, Runnable task) {
    this.frames = frames;
    this.every = every;
    this.left = times;
    this.task = task;
  }

  /** Runs a task on a thread with a small stack, which is soon full. */
  public static void onThread(Runnable task) throws InterruptedException, ExecutionException {
    FutureTask<Void> result = new FutureTask<>(task, null);
    Thread thread = new Thread(null, result, "short", BYTES);
    thread.setDaemon(true); // hanging threads end with the tests
    thread.start();
    result.get();
  }

  /**
   * Fills the stack of this thread, and runs a task that many frames before its end.
   *
   * @return whether there was room for it
   */
  public static boolean fill(int frames, Runnable task) {
    return fill(frames, 1, 1, task) == 0;
  }

  /**
   * Does this several times, with room for that many frames more each time.
   *
   * @return how many times there was no room for it
   */
  public static int fill(int frames, int every, int times, Runnable task) {
    ShortStack stack = new ShortStack(frames, every, times, task);
    stack.descend();
    return stack.overflows;
  }

  private void descend() {
    if (!unwinding) {
      try {
        descend();
      } catch (StackOverflowError e) {
        unwinding = true;
      }
    }
    if (left > 0 && frames-- == 0) {
      frames = every - 1;
      left--;
      try {
        task.run();
      } catch (StackOverflowError e) {
        overflows++;
      }
    }
  }
}
