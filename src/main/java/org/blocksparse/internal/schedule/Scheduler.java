// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.lang.reflect.UndeclaredThrowableException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.blocksparse.internal.memory.StackRoom;

/**
 * Runs the tasks of one operation on the calling thread and on helpers: the library's own threads,
 * or tasks of an executor.
 *
 * <p>Tasks are claimed from a shared counter, many at first and one at a time towards the end, so
 * that neither skew nor a slow core leaves the others waiting. The caller works as well, and waits
 * only for helpers that have begun: one that starts too late finds the operation over and returns.
 * So an operation ends even if the executor is full, has one thread, or is the pool that the caller
 * itself runs in.
 *
 * <p>Callers at the same time share the processors: a helper that takes one from another caller
 * costs both more than it brings.
 */
public final class Scheduler {
  /** Runs tasks [begin, end). */
  public interface Body {
    void run(int begin, int end);
  }

  /**
   * A part of an operation; parts run one after the other.
   *
   * @param tasks how many there are
   * @param work multiply-adds of all of them together
   */
  public record Stage(int tasks, long work, Body body) {}

  /** The private state of one worker, from its first task of an operation to its last. */
  public interface Share extends AutoCloseable {
    @Override
    void close();
  }

  /** Runs tasks [begin, end) with the share of its worker. */
  public interface SharedBody<S> {
    void run(S share, int begin, int end);
  }

  /** Multiply-adds that take about as long as waking a thread. */
  private static final long WAKING_WORK = 1 << 20;

  /** The claims of each worker if all tasks are equal. */
  private static final int CLAIMS_PER_WORKER = 4;

  /** Rounds of spinning until other workers finish, before a thread parks or yields. */
  private static final int SPINS = 2_000;

  private static final int CLOSED = 1 << 31;

  private static final int PROCESSORS = Runtime.getRuntime().availableProcessors();

  /**
   * The maximum number of workers of one operation, for any limit and number of tasks: more than
   * can run, so that it affects only executors without a limit of their own. Each worker is a place
   * in their queue, or a thread, and the caller does not work before it has asked for all.
   */
  private static final int MOST_WORKERS = Math.max(64, 4 * PROCESSORS);

  /** Threads that are in an operation large enough for helpers, of any scheduler. */
  private static final AtomicInteger CALLERS = new AtomicInteger();

  private static final HelperThreads HELPERS = new HelperThreads(PROCESSORS - 1, CALLERS);

  /** The workers of the library, which spin for {@link SpinTime#DEFAULT}. */
  private static final Scheduler COMMON = new Scheduler(null, PROCESSORS, SpinTime.DEFAULT);

  /** The executor of helpers; null for threads of the library. */
  private final Executor executor;

  private final int maxWorkers;

  /** The time for which threads of the library spin after an operation. */
  private final SpinTime spin;

  private Scheduler(Executor executor, int maxWorkers, SpinTime spin) {
    this.executor = executor;
    this.maxWorkers = maxWorkers;
    this.spin = spin;
  }

  /**
   * Creates a scheduler with helpers from an executor.
   *
   * @param executor the executor of helpers; not used if {@code maxWorkers} is 1
   * @param maxWorkers threads that work on one operation, the caller included
   */
  public Scheduler(Executor executor, int maxWorkers) {
    this(executor, maxWorkers, SpinTime.ZERO);
  }

  /** Returns the scheduler on threads of the library, with as many workers as processors. */
  public static Scheduler common() {
    return COMMON;
  }

  /**
   * Returns the same scheduler, whose helpers spin for that time after an operation.
   *
   * @throws IllegalStateException if they are not threads of the library
   */
  public Scheduler withSpin(long nanos) {
    if (executor != null) {
      throw new IllegalStateException(
          "withSpin: expected threads of the library, but helpers come from an executor: call"
              + " Workers.common().withSpin");
    }
    return new Scheduler(null, maxWorkers, SpinTime.ofNanos(nanos));
  }

  /** Returns the quotient of a number that is not negative and a positive one, rounded up. */
  public static int ceilDiv(int dividend, int divisor) {
    return (int) ceilDiv((long) dividend, divisor);
  }

  /** See {@link #ceilDiv(int, int)}. */
  public static long ceilDiv(long dividend, long divisor) {
    return (dividend + divisor - 1) / divisor;
  }

  /** Returns the multiply-adds of that many products of rows with blocks. */
  public static long work(long pairs, int size1, int size2) {
    return pairs * Math.max(1, size1) * Math.max(1, size2);
  }

  /** Returns the maximum number of threads that work on one operation, the calling one included. */
  public int maxWorkers() {
    return maxWorkers;
  }

  /**
   * Runs all tasks and returns when all have run. If one throws, no further task begins, and its
   * exception is thrown here once no task runs any more.
   *
   * @param tasks how many there are
   * @param work multiply-adds of all of them together
   */
  public void run(int tasks, long work, Body body) {
    run(tasks, work, 0, () -> (Share) null, (none, begin, end) -> body.run(begin, end));
  }

  /**
   * Runs all tasks of one stage, then all tasks of another. Both stages share their helpers, since
   * spinning until the first stage ends is faster than waking threads again.
   */
  public void run(Stage first, Stage second) {
    int barrier = first.tasks;
    run(
        Math.addExact(barrier, second.tasks),
        first.work + second.work,
        barrier,
        () -> (Share) null,
        (none, begin, end) -> {
          if (begin < barrier) {
            first.body.run(begin, Math.min(end, barrier));
          }
          if (end > barrier) {
            second.body.run(Math.max(begin - barrier, 0), end - barrier);
          }
        });
  }

  /**
   * Runs tasks with a share for each worker that finds one; it is closed when the worker finds no
   * more.
   *
   * @param shares asked on the threads of the workers
   */
  public <S extends Share> void run(int tasks, long work, Supplier<S> shares, SharedBody<S> body) {
    run(tasks, work, 0, shares, body);
  }

  private <S extends Share> void run(
      int tasks, long work, int barrier, Supplier<S> shares, SharedBody<S> body) {
    boolean shared = work >= WAKING_WORK;
    long spinNanos = executor == null && shared ? spin.nanos() : 0;
    int workers = shared ? Math.min(Math.min(maxWorkers, MOST_WORKERS), tasks) : 1;
    StackRoom.require(workers > 1); // the one guard of all operations; see there
    if (tasks == 0) {
      return;
    }
    if (workers == 1) {
      runAlone(tasks, shares, body);
    } else {
      int callers = CALLERS.incrementAndGet();
      try {
        workers = callers == 1 ? workers : Math.min(workers, PROCESSORS / callers);
        if (workers > 1) {
          new Run<>(tasks, barrier, workers, shares, body).run(executor, spinNanos);
        } else {
          runAlone(tasks, shares, body);
        }
      } finally {
        CALLERS.decrementAndGet();
      }
    }
  }

  private static <S extends Share> void runAlone(
      int tasks, Supplier<S> shares, SharedBody<S> body) {
    try (S share = shares.get()) {
      body.run(share, 0, tasks);
    }
  }

  /**
   * A task for an executor or a thread, which may keep it long after the operation has ended, in a
   * queue behind other work: by then, it holds no references.
   */
  private static final class Helper implements Runnable, HelperThreads.Task {
    private volatile Run<?> operation;
    private final long spinNanos;

    Helper(Run<?> operation, long spinNanos) {
      this.operation = operation;
      this.spinNanos = spinNanos;
    }

    @Override
    public void run() {
      help(() -> {});
    }

    @Override
    public void help(Runnable beforeLeaving) {
      try {
        StackRoom.require(true); // the caller waits for a helper that has begun
      } catch (StackOverflowError e) {
        return; // the other workers take its tasks
      }
      Run<?> current = operation;
      if (current != null) {
        current.help(beforeLeaving);
      }
    }

    @Override
    public long spinNanos() {
      return spinNanos;
    }

    void forget() {
      operation = null;
    }
  }

  /** The state of one operation. */
  private static final class Run<S extends Share> {
    private final int tasks;

    /** The first task that waits for all tasks before it. */
    private final int barrier;

    private final int workers;
    private final Supplier<S> shares;
    private final SharedBody<S> body;
    private final Thread caller = Thread.currentThread();
    private final AtomicInteger next = new AtomicInteger();

    /** The number of tasks before the barrier that have run. */
    private final AtomicInteger ran = new AtomicInteger();

    /** Helpers at work; {@link #CLOSED} is set when the caller has found no task left. */
    private final AtomicInteger helpers = new AtomicInteger();

    private volatile Throwable failure;

    Run(int tasks, int barrier, int workers, Supplier<S> shares, SharedBody<S> body) {
      this.tasks = tasks;
      this.barrier = barrier;
      this.workers = workers;
      this.shares = shares;
      this.body = body;
    }

    /**
     * Runs all tasks.
     *
     * @param executor the executor of helpers; null for threads of the library
     */
    void run(Executor executor, long spinNanos) {
      Helper helper = new Helper(this, spinNanos);
      try {
        try {
          if (executor == null) {
            HELPERS.ask(helper, workers - 1);
          }
          for (int h = 1; h < workers && executor != null; h++) {
            executor.execute(helper);
          }
        } catch (RejectedExecutionException e) {
          // The executor is shut down or full: the caller does the work alone.
        } catch (Throwable e) {
          // Helpers that have begun by now must not run on when this is thrown.
          fail(e);
        }
        work();
      } finally {
        helper.forget();
        awaitHelpers();
      }
      if (failure instanceof Error e) {
        throw e;
      }
      if (failure instanceof RuntimeException e) {
        throw e;
      }
      if (failure != null) {
        throw new UndeclaredThrowableException(failure); // from another language
      }
    }

    void help(Runnable beforeLeaving) {
      if (helpers.getAndIncrement() >= 0) {
        work();
      }
      beforeLeaving.run();
      if (helpers.decrementAndGet() == CLOSED) {
        LockSupport.unpark(caller);
      }
    }

    private void work() {
      if (next.get() >= tasks) {
        return;
      }
      try (S share = shares.get()) {
        int begin = next.get();
        while (begin < tasks) {
          boolean beforeBarrier = begin < barrier;
          int end = beforeBarrier ? barrier : tasks;
          int claim = Math.max(1, (end - begin) / (CLAIMS_PER_WORKER * workers));
          if (next.compareAndSet(begin, begin + claim) && (beforeBarrier || awaitBarrier())) {
            body.run(share, begin, begin + claim);
            if (beforeBarrier) {
              ran.addAndGet(claim);
            }
          }
          begin = next.get();
        }
      } catch (Throwable e) {
        fail(e);
      }
    }

    /**
     * Waits for the tasks before the barrier. Workers that have begun claimed all of them, so the
     * wait ends even if other helpers never begin. It is short, and this thread is not parked.
     *
     * @return false if one has failed
     */
    @SuppressWarnings("ThreadPriorityCheck") // the wait also ends if yielding does nothing
    private boolean awaitBarrier() {
      for (int spin = 0; ran.get() < barrier && failure == null; spin++) {
        if (spin < SPINS) {
          Thread.onSpinWait();
        } else {
          Thread.yield();
        }
      }
      return failure == null;
    }

    /** Stops further tasks from beginning. */
    private void fail(Throwable e) {
      failure = e;
      next.set(tasks);
    }

    private void awaitHelpers() {
      helpers.getAndAdd(CLOSED);
      for (int spin = 0; spin < SPINS && helpers.get() != CLOSED; spin++) {
        Thread.onSpinWait();
      }
      boolean interrupted = false;
      while (helpers.get() != CLOSED) {
        try {
          LockSupport.park(this);
        } catch (OutOfMemoryError e) {
          Thread.onSpinWait(); // parking a virtual thread of JDK 21 needs memory
        }
        interrupted |= Thread.interrupted();
      }
      if (interrupted) {
        caller.interrupt();
      }
    }
  }
}
