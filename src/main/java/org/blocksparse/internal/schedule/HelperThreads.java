// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;

/**
 * The library's own threads, which help operations: daemons, one fewer than there are processors.
 *
 * <p>Waking a thread takes tens of microseconds, longer than many operations. So a helper spins
 * after an operation, for a time that the operation sets, and then parks. If that time is as long
 * as waking takes, spinning and waking together cost at most twice as much as the better of the
 * two, whenever the next operation begins (Karlin, Manasse, McGeoch, Owicki, 1994). A helper that
 * has spun yields the processor now and then; where others compete for it, it parks.
 *
 * <p>A helper that nothing has needed for some seconds ends, so that the class loader of the
 * library can be unloaded; the next operation starts another one.
 */
final class HelperThreads {
  /** The work of a helper. */
  interface Task {
    /** Returns how long the helper spins afterwards. */
    long spinNanos();

    /**
     * Helps the operation, if it is not over.
     *
     * @param beforeLeaving run when the helper has nothing left to do, before the caller is
     *     notified
     */
    void help(Runnable beforeLeaving);
  }

  /** The time after which a parked helper ends. */
  static final long KEEP_ALIVE_NANOS = 5_000_000_000L;

  /** The rounds of spinning between two readings of the clock: a few microseconds. */
  private static final int ROUNDS = 64;

  /** The time between two readings of the clock from which on something else must have run here. */
  private static final long COMPETED_NANOS = 50_000;

  /** Stands, in the place of a task, for a helper that has ended. */
  private static final Task ENDED =
      new Task() {
        @Override
        public long spinNanos() {
          return 0;
        }

        @Override
        public void help(Runnable beforeLeaving) {}
      };

  private enum Phase {
    SPINNING,
    PARKED,
    BUSY
  }

  /** The order in which helpers are asked, including busy ones, which may be about to end. */
  private static final Phase[] ORDER = Phase.values();

  private final AtomicReferenceArray<Helper> helpers;

  /** The threads in operations that compete for the processors. */
  private final AtomicInteger callers;

  HelperThreads(int count, AtomicInteger callers) {
    this.helpers = new AtomicReferenceArray<>(count);
    this.callers = callers;
  }

  int count() {
    return helpers.length();
  }

  /**
   * Asks up to {@code count} helpers to run a task; fewer if others are at work for long.
   *
   * <p>A helper may finish its work during the search: the last round takes it in any phase.
   */
  void ask(Task task, int count) {
    int left = count;
    for (Phase phase : ORDER) {
      for (int i = 0; i < helpers.length() && left > 0; i++) {
        Helper helper = helpers.get(i);
        boolean ended = helper == null || helper.mail.get() == ENDED;
        boolean asked;
        if (ended) {
          asked = phase != Phase.SPINNING && start(i, helper, task);
        } else {
          asked = (phase == Phase.BUSY || helper.phase == phase) && helper.accept(task);
        }
        left -= asked ? 1 : 0;
      }
    }
  }

  private boolean start(int i, Helper ended, Task task) {
    Helper helper = create(i + 1, task);
    if (!helpers.compareAndSet(i, ended, helper)) {
      return false; // another caller has started one
    }
    boolean started = false;
    try {
      helper.start();
      started = true;
    } catch (OutOfMemoryError e) {
      // No thread can start: the caller works alone.
    } finally {
      if (!started) {
        helper.mail.set(ENDED);
      }
    }
    return started;
  }

  /**
   * Before JDK 24 a thread holds the class loaders of its creator's callers, unless it is created
   * like this.
   */
  @SuppressWarnings("removal")
  private Helper create(int number, Task first) {
    return AccessController.doPrivileged(
        (PrivilegedAction<Helper>) () -> new Helper(number, first));
  }

  private final class Helper extends Thread {
    /** The next task, or null. */
    private final AtomicReference<Task> mail;

    private volatile Phase phase = Phase.BUSY;
    private final Runnable beforeLeaving = this::endTask;

    Helper(int number, Task first) {
      super(null, null, "blocksparse-helper-" + number, 0, false);
      setDaemon(true);
      // The class loader of the caller may be temporary.
      setContextClassLoader(ClassLoader.getSystemClassLoader());
      mail = new AtomicReference<>(first);
    }

    private void endTask() {
      phase = Phase.SPINNING;
    }

    /** Takes the task if there is none yet. */
    boolean accept(Task task) {
      if (!mail.compareAndSet(null, task)) {
        return false;
      }
      if (phase == Phase.PARKED) { // either it sees the task, or this sees that it parks
        LockSupport.unpark(this);
      }
      return true;
    }

    @Override
    public void run() {
      Task task = mail.getAndSet(null);
      while (task != null) {
        long spinNanos = task.spinNanos();
        try {
          task.help(beforeLeaving);
        } catch (Throwable e) {
          // The operation has failed, or the stack was exhausted; the thread continues.
        }
        phase = Phase.SPINNING;
        task = spin(spinNanos);
        if (task == null) {
          phase = Phase.PARKED;
          task = park();
        }
        phase = Phase.BUSY;
      }
    }

    @SuppressWarnings("ThreadPriorityCheck") // only a hint
    private Task spin(long nanos) {
      long start = System.nanoTime();
      long last = start;
      for (; ; ) {
        for (int round = 0; round < ROUNDS; round++) {
          if (mail.get() != null) {
            return mail.getAndSet(null);
          }
          Thread.onSpinWait();
        }
        if (callers.get() > 1) {
          return null;
        }
        Thread.yield();
        long now = System.nanoTime();
        if (now - start >= nanos || now - last >= COMPETED_NANOS) {
          return null;
        }
        last = now;
      }
    }

    /** Returns null when the thread ends. */
    private Task park() {
      long start = System.nanoTime();
      for (; ; ) {
        Task task = mail.get();
        if (task != null) {
          mail.set(null);
          return task;
        }
        long left = KEEP_ALIVE_NANOS - (System.nanoTime() - start);
        if (left > 0) {
          LockSupport.parkNanos(HelperThreads.this, left);
          Thread.interrupted(); // otherwise parking would return at once
        } else if (mail.compareAndSet(null, ENDED)) {
          return null;
        }
      }
    }
  }
}
