// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.lang.reflect.UndeclaredThrowableException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.blocksparse.testing.ShortStack;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class SchedulerTest {
  /** Enough work that helpers are asked. */
  private static final long LARGE = 1L << 40;

  private ExecutorService executor;

  @BeforeEach
  void start() {
    executor = Executors.newFixedThreadPool(4);
  }

  @AfterEach
  void stop() {
    executor.shutdownNow();
  }

  private static void assertEachOnce(Scheduler scheduler, int tasks, long work) {
    AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
    scheduler.run(
        tasks,
        work,
        (begin, end) -> {
          assertTrue(begin < end && end <= tasks, begin + ", " + end);
          for (int c = begin; c < end; c++) {
            runs.incrementAndGet(c);
          }
        });
    for (int c = 0; c < tasks; c++) {
      assertEquals(1, runs.get(c), "task " + c + " of " + tasks);
    }
  }

  @Test
  void everyChunkRunsOnce() {
    for (int workers : new int[] {1, 2, 3, 4, 8}) {
      for (int tasks : new int[] {1, 2, 3, 7, 16, 100, 1000}) {
        for (int repeat = 0; repeat < 20; repeat++) {
          assertEachOnce(new Scheduler(executor, workers), tasks, LARGE);
        }
        assertEachOnce(new Scheduler(executor, workers), tasks, 0);
      }
    }
    assertEachOnce(Scheduler.common(), 500, LARGE);
  }

  /** No worker begins the second stage before all tasks of the first have run. */
  @Test
  void theSecondStageFollowsTheFirst() {
    for (int workers : new int[] {1, 2, 4, 8}) {
      for (int tasks : new int[] {0, 1, 7, 100}) {
        for (int repeat = 0; repeat < 20; repeat++) {
          assertStages(new Scheduler(executor, workers), tasks, LARGE);
          assertStages(new Scheduler(Runnable::run, workers), tasks, LARGE);
        }
        assertStages(new Scheduler(executor, workers), tasks, 0);
      }
    }
  }

  private static void assertStages(Scheduler scheduler, int tasks, long work) {
    AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
    AtomicInteger firstRan = new AtomicInteger();
    AtomicInteger secondRan = new AtomicInteger();
    scheduler.run(
        new Scheduler.Stage(
            tasks,
            work,
            (begin, end) -> {
              assertTrue(begin < end && end <= tasks, begin + ", " + end);
              for (int c = begin; c < end; c++) {
                runs.incrementAndGet(c);
              }
              firstRan.addAndGet(end - begin);
            }),
        new Scheduler.Stage(
            3,
            work,
            (begin, end) -> {
              assertTrue(0 <= begin && begin < end && end <= 3, begin + ", " + end);
              assertEquals(tasks, firstRan.get(), "tasks of the first stage that have run");
              secondRan.addAndGet(end - begin);
            }));
    for (int c = 0; c < tasks; c++) {
      assertEquals(1, runs.get(c), "task " + c + " of " + tasks);
    }
    assertEquals(3, secondRan.get());
  }

  /** A helper holds the last task of the first stage: the caller waits, and runs the second. */
  @Test
  void aStageWaitsForTheTasksOfHelpers() {
    Thread caller = Thread.currentThread();
    CountDownLatch helperAtWork = new CountDownLatch(1);
    CountDownLatch callerAtEnd = new CountDownLatch(1);
    AtomicInteger firstRan = new AtomicInteger();
    new Scheduler(executor, 2)
        .run(
            new Scheduler.Stage(
                2,
                LARGE,
                (begin, end) -> {
                  if (Thread.currentThread() == caller) {
                    await(helperAtWork);
                    callerAtEnd.countDown();
                  } else {
                    helperAtWork.countDown();
                    await(callerAtEnd);
                    LockSupport.parkNanos(20_000_000);
                  }
                  firstRan.addAndGet(end - begin);
                }),
            new Scheduler.Stage(2, LARGE, (begin, end) -> assertEquals(2, firstRan.get())));
  }

  /** A failure of the first stage ends the wait of workers for the second. */
  @Test
  void noSecondStageAfterAFailureOfTheFirst() {
    Thread caller = Thread.currentThread();
    for (boolean ofCaller : new boolean[] {true, false}) {
      CountDownLatch bothAtWork = new CountDownLatch(2);
      IllegalStateException thrown = new IllegalStateException("of the first stage");
      IllegalStateException caught =
          assertThrows(
              IllegalStateException.class,
              () ->
                  new Scheduler(executor, 2)
                      .run(
                          new Scheduler.Stage(
                              2,
                              LARGE,
                              (begin, end) -> {
                                bothAtWork.countDown();
                                await(bothAtWork);
                                if (ofCaller == (Thread.currentThread() == caller)) {
                                  LockSupport.parkNanos(20_000_000); // the other one waits by now
                                  throw thrown;
                                }
                              }),
                          new Scheduler.Stage(
                              2,
                              LARGE,
                              (begin, end) -> {
                                throw new AssertionError("the second stage began");
                              })));
      assertSame(thrown, caught);
    }
  }

  /** Helpers of the first stage run the second as well. */
  @Test
  void helpersAreAskedOnceForBothStages() {
    AtomicInteger helpers = new AtomicInteger();
    Scheduler scheduler = new Scheduler(task -> helpers.incrementAndGet(), 4);
    assertStages(scheduler, 100, LARGE);
    assertEquals(3, helpers.get());
  }

  @Test
  void noChunksNoCall() {
    new Scheduler(executor, 4)
        .run(
            0,
            LARGE,
            (begin, end) -> {
              throw new AssertionError("there is nothing to run");
            });
  }

  @Test
  void smallWorkStaysOnTheCaller() {
    Executor none =
        task -> {
          throw new AssertionError("a helper was asked for");
        };
    Thread caller = Thread.currentThread();
    new Scheduler(none, 4)
        .run(100, 1000, (begin, end) -> assertSame(caller, Thread.currentThread()));
    new Scheduler(none, 1)
        .run(100, LARGE, (begin, end) -> assertSame(caller, Thread.currentThread()));
  }

  @Test
  void helpersDoHelp() throws Exception {
    CountDownLatch all = new CountDownLatch(4);
    Set<Thread> threads = Collections.synchronizedSet(new HashSet<>());
    new Scheduler(executor, 4)
        .run(
            64,
            LARGE,
            (begin, end) -> {
              if (threads.add(Thread.currentThread())) {
                all.countDown();
                await(all);
              }
            });
    assertEquals(4, threads.size());
  }

  private static void await(CountDownLatch latch) {
    try {
      assertTrue(latch.await(10, TimeUnit.MINUTES), "waited in vain");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Whichever task throws: its exception is thrown once, after the last task has ended. */
  @Test
  void anExceptionSurfacesWhenNoChunkRunsAnyMore() {
    for (int repeat = 0; repeat < 300; repeat++) {
      int bad = repeat % 64;
      AtomicInteger running = new AtomicInteger();
      AtomicInteger after = new AtomicInteger();
      IllegalStateException thrown = new IllegalStateException("task " + bad);
      IllegalStateException caught =
          assertThrows(
              IllegalStateException.class,
              () ->
                  new Scheduler(executor, 4)
                      .run(
                          64,
                          LARGE,
                          (begin, end) -> {
                            running.incrementAndGet();
                            try {
                              Thread.onSpinWait();
                              if (begin <= bad && bad < end) {
                                throw thrown;
                              }
                              after.incrementAndGet();
                            } finally {
                              running.decrementAndGet();
                            }
                          }));
      assertSame(thrown, caught);
      assertEquals(0, running.get(), "tasks still run");
      int ran = after.get();
      Thread.onSpinWait();
      assertEquals(ran, after.get(), "tasks began after the operation had ended");
    }
  }

  /** Every task throws: one of the exceptions is thrown, and the executor stays usable. */
  @Test
  void everyChunkThrows() {
    Scheduler scheduler = new Scheduler(executor, 4);
    List<Throwable> thrown = Collections.synchronizedList(new ArrayList<>());
    StackOverflowError caught =
        assertThrows(
            StackOverflowError.class,
            () ->
                scheduler.run(
                    64,
                    LARGE,
                    (begin, end) -> {
                      StackOverflowError error = new StackOverflowError("task " + begin);
                      thrown.add(error);
                      throw error;
                    }));
    assertTrue(thrown.contains(caught));
    assertEachOnce(scheduler, 64, LARGE);
  }

  /**
   * The caller waits for a helper that has begun: if a failed helper is not counted, it waits
   * forever.
   */
  @Test
  void anErrorOfAHelperAlone() {
    Scheduler scheduler = new Scheduler(executor, 2);
    Thread caller = Thread.currentThread();
    StackOverflowError thrown = new StackOverflowError("of a helper");
    CountDownLatch helperAtWork = new CountDownLatch(1);
    StackOverflowError caught =
        assertThrows(
            StackOverflowError.class,
            () ->
                scheduler.run(
                    1000,
                    LARGE,
                    (begin, end) -> {
                      if (Thread.currentThread() != caller) {
                        helperAtWork.countDown();
                        throw thrown;
                      }
                      await(helperAtWork);
                    }));
    assertSame(thrown, caught);
    assertEachOnce(scheduler, 64, LARGE);
  }

  /** The caller is in its first task when the helper has failed and ended. */
  @Test
  void noChunkBeginsAfterAFailure() {
    CountDownLatch callerAtWork = new CountDownLatch(1);
    CountDownLatch helperHasEnded = new CountDownLatch(1);
    Executor telling =
        task ->
            executor.execute(
                () -> {
                  task.run();
                  helperHasEnded.countDown();
                });
    Thread caller = Thread.currentThread();
    AtomicInteger begun = new AtomicInteger();
    assertThrows(
        IllegalStateException.class,
        () ->
            new Scheduler(telling, 2)
                .run(
                    1000,
                    LARGE,
                    (begin, end) -> {
                      if (Thread.currentThread() != caller) {
                        await(callerAtWork);
                        throw new IllegalStateException("of a helper");
                      }
                      begun.incrementAndGet();
                      callerAtWork.countDown();
                      await(helperHasEnded);
                    }));
    assertEquals(1, begun.get(), "claims of the caller");
  }

  /** Very many short claims, by two workers that begin at once. */
  @Test
  void workersDoNotShareChunks() {
    int tasks = 20_000;
    Scheduler scheduler = new Scheduler(executor, 64);
    for (int repeat = 0; repeat < 200; repeat++) {
      AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
      AtomicInteger two = new AtomicInteger();
      scheduler.run(
          tasks,
          LARGE,
          (begin, end) -> {
            // A thread that sleeps here would wake after the other has done everything.
            for (two.incrementAndGet(); two.get() < 2; ) {
              Thread.onSpinWait();
            }
            for (int c = begin; c < end; c++) {
              runs.incrementAndGet(c);
            }
          });
      for (int c = 0; c < tasks; c++) {
        assertEquals(1, runs.get(c), "task " + c);
      }
    }
  }

  /** The private state of one worker, used on one thread only, and not after it is closed. */
  private static final class Own implements Scheduler.Share {
    private final Thread thread = Thread.currentThread();
    private boolean closed;

    void use() {
      assertSame(thread, Thread.currentThread());
      assertFalse(closed);
    }

    @Override
    public void close() {
      use();
      closed = true;
    }
  }

  private static Supplier<Own> keptIn(List<Own> shares) {
    return () -> {
      Own share = new Own();
      shares.add(share);
      return share;
    };
  }

  @Test
  void everyWorkerHasItsShareFromItsFirstTaskToItsLast() {
    for (long work : new long[] {0, LARGE}) {
      for (int workers : new int[] {1, 2, 4}) {
        List<Own> shares = Collections.synchronizedList(new ArrayList<>());
        AtomicInteger tasks = new AtomicInteger();
        new Scheduler(executor, workers)
            .run(
                1000,
                work,
                keptIn(shares),
                (share, begin, end) -> {
                  share.use();
                  tasks.addAndGet(end - begin);
                });
        assertEquals(1000, tasks.get());
        assertTrue(1 <= shares.size() && shares.size() <= workers, shares.size() + " shares");
        assertTrue(shares.stream().allMatch(share -> share.closed));
        assertEquals(shares.size(), shares.stream().map(share -> share.thread).distinct().count());
      }
    }
  }

  @Test
  void noTasksNoShare() {
    new Scheduler(executor, 4)
        .run(
            0,
            LARGE,
            () -> {
              throw new AssertionError("nobody would use it");
            },
            (Own share, int begin, int end) -> {});
  }

  @Test
  void sharesAreClosedAfterAFailure() {
    for (int workers : new int[] {1, 4}) {
      List<Own> shares = Collections.synchronizedList(new ArrayList<>());
      Scheduler scheduler = new Scheduler(executor, workers);
      assertThrows(
          IllegalStateException.class,
          () ->
              scheduler.run(
                  100,
                  LARGE,
                  keptIn(shares),
                  (share, begin, end) -> {
                    throw new IllegalStateException("task " + begin);
                  }));
      assertFalse(shares.isEmpty());
      assertTrue(shares.stream().allMatch(share -> share.closed));
    }
  }

  @Test
  void aShareThatCannotBeHad() {
    for (int workers : new int[] {1, 4}) {
      Scheduler scheduler = new Scheduler(executor, workers);
      assertThrows(
          OutOfMemoryError.class,
          () ->
              scheduler.run(
                  100,
                  LARGE,
                  () -> {
                    throw new OutOfMemoryError("none left");
                  },
                  (Own share, int begin, int end) -> {
                    throw new AssertionError("without a share");
                  }));
    }
  }

  @Test
  void rejectedHelpers() {
    Executor full =
        task -> {
          throw new RejectedExecutionException("full");
        };
    assertEachOnce(new Scheduler(full, 4), 100, LARGE);
    int[] accepted = {1};
    Executor nearlyFull =
        task -> {
          if (accepted[0]-- > 0) {
            executor.execute(task);
          } else {
            throw new RejectedExecutionException("full");
          }
        };
    assertEachOnce(new Scheduler(nearlyFull, 4), 100, LARGE);
  }

  /**
   * An executor may fail in other ways: a helper that it has started must be waited for as well.
   */
  @Test
  void anExecutorThatFailsAfterAHelperHasBegun() {
    for (int repeat = 0; repeat < 50; repeat++) {
      CountDownLatch begun = new CountDownLatch(1);
      AtomicInteger running = new AtomicInteger();
      int[] accepted = {1};
      Executor failing =
          task -> {
            if (accepted[0]-- > 0) {
              executor.execute(task);
              await(begun);
            } else {
              throw new OutOfMemoryError("unable to create native thread");
            }
          };
      assertThrows(
          OutOfMemoryError.class,
          () ->
              new Scheduler(failing, 4)
                  .run(
                      1000,
                      LARGE,
                      (begin, end) -> {
                        running.incrementAndGet();
                        begun.countDown();
                        Thread.onSpinWait();
                        running.decrementAndGet();
                      }));
      assertEquals(0, running.get(), "tasks still run");
    }
  }

  @Test
  void oneThreadThatIsBusyWithTheCaller() throws Exception {
    ExecutorService single = Executors.newSingleThreadExecutor();
    try {
      Future<?> future = single.submit(() -> assertEachOnce(new Scheduler(single, 4), 100, LARGE));
      future.get(10, TimeUnit.MINUTES);
    } finally {
      single.shutdownNow();
    }
  }

  @Test
  void insideTheCommonPoolAndNested() throws Exception {
    Scheduler common = new Scheduler(ForkJoinPool.commonPool(), 4);
    List<Future<?>> futures = new ArrayList<>();
    for (int i = 0; i < 32; i++) {
      futures.add(
          ForkJoinPool.commonPool()
              .submit(
                  () -> common.run(8, LARGE, (begin, end) -> assertEachOnce(common, 20, LARGE))));
    }
    for (Future<?> future : futures) {
      future.get(10, TimeUnit.MINUTES);
    }
  }

  @Test
  void interruptionIsKeptAndDoesNotEndTheWait() {
    CountDownLatch helperAtWork = new CountDownLatch(1);
    AtomicInteger finished = new AtomicInteger();
    Thread caller = Thread.currentThread();
    try {
      new Scheduler(executor, 2)
          .run(
              2,
              LARGE,
              (begin, end) -> {
                if (Thread.currentThread() == caller) {
                  await(helperAtWork);
                  caller.interrupt();
                } else {
                  helperAtWork.countDown();
                  long until = System.nanoTime() + 20_000_000;
                  while (System.nanoTime() < until) {
                    Thread.onSpinWait();
                  }
                }
                finished.addAndGet(end - begin);
              });
      assertEquals(2, finished.get(), "the operation ended before its tasks");
      assertTrue(Thread.currentThread().isInterrupted(), "the interruption was swallowed");
    } finally {
      Thread.interrupted();
    }
    assertFalse(Thread.currentThread().isInterrupted());
  }

  /** Two concurrent callers ask for no more threads than there are processors. */
  @Test
  void callersShareTheProcessors() {
    int processors = Runtime.getRuntime().availableProcessors();
    AtomicInteger helpers = new AtomicInteger();
    Scheduler second = new Scheduler(task -> helpers.incrementAndGet(), 2 * processors);
    new Scheduler(executor, 2)
        .run(
            2,
            LARGE,
            (begin, end) -> {
              if (begin == 0) {
                assertEachOnce(second, 100, LARGE);
              }
            });
    assertEquals(Math.max(1, processors / 2) - 1, helpers.get());
    assertEachOnce(second, 1000, LARGE);
    assertEquals(Math.max(1, processors / 2) - 1 + 2 * processors - 1, helpers.get());
  }

  /**
   * An operation of very many tasks does not fill the executor, even without a limit of its own.
   */
  @Test
  void helpersAreFewHoweverManyAreAllowed() {
    int processors = Runtime.getRuntime().availableProcessors();
    AtomicInteger helpers = new AtomicInteger();
    Executor counting = task -> helpers.incrementAndGet();
    assertEachOnce(new Scheduler(counting, Integer.MAX_VALUE), 1_000_000, LARGE);
    assertEquals(Math.max(64, 4 * processors) - 1, helpers.get());
  }

  /** A helper that the executor runs late finds the operation over. */
  @Test
  void lateHelpersDoNothing() {
    List<Runnable> late = new ArrayList<>();
    int[] runs = new int[10];
    new Scheduler(late::add, 4)
        .run(
            10,
            LARGE,
            (begin, end) -> {
              for (int c = begin; c < end; c++) {
                runs[c]++;
              }
            });
    assertEquals(3, late.size());
    late.forEach(Runnable::run);
    int[] expected = new int[10];
    Arrays.fill(expected, 1);
    assertArrayEquals(expected, runs);
  }

  /** A pool that never runs its queue: queued helpers hold nothing of the operation. */
  @Test
  void aBusyPoolPinsNoMemory() throws InterruptedException {
    List<Runnable> queue = new ArrayList<>();
    Scheduler scheduler = new Scheduler(queue::add, 2);
    List<WeakReference<byte[]>> used = new ArrayList<>();
    for (int call = 0; call < 2000; call++) {
      used.add(runOverMemory(scheduler));
    }
    assertEquals(2000, queue.size());
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
    while (used.stream().anyMatch(memory -> memory.get() != null)) {
      assertTrue(System.nanoTime() < deadline, "memory of an operation that has ended is held");
      System.gc();
      Thread.sleep(5);
    }
    queue.forEach(Runnable::run);
  }

  private static WeakReference<byte[]> runOverMemory(Scheduler scheduler) {
    byte[] memory = new byte[1024];
    scheduler.run(10, LARGE, (begin, end) -> memory[0]++);
    return new WeakReference<>(memory);
  }

  /** An executor written in a language without checked exceptions. */
  @Test
  void aCheckedExceptionOfTheExecutor() {
    IOException thrown = new IOException("full");
    Scheduler scheduler =
        new Scheduler(
            task -> {
              throw SchedulerTest.<RuntimeException>unchecked(thrown);
            },
            2);
    UndeclaredThrowableException caught =
        assertThrows(
            UndeclaredThrowableException.class, () -> scheduler.run(10, LARGE, (begin, end) -> {}));
    assertSame(thrown, caught.getCause());
  }

  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
  private static <E extends Throwable> E unchecked(Throwable thrown) throws E {
    throw (E) thrown;
  }

  /**
   * The caller's task fails while a helper runs: the caller waits for it, and no task runs
   * afterwards.
   */
  @Test
  void noHelperRunsWhenAnErrorOfTheCallerIsThrown() throws InterruptedException {
    CountDownLatch helperAtWork = new CountDownLatch(1);
    AtomicInteger running = new AtomicInteger();
    Thread caller = Thread.currentThread();
    assertThrows(
        OutOfMemoryError.class,
        () ->
            new Scheduler(executor, 2)
                .run(
                    1000,
                    LARGE,
                    (begin, end) -> {
                      if (Thread.currentThread() == caller) {
                        await(helperAtWork);
                        throw new OutOfMemoryError("of the caller");
                      }
                      running.incrementAndGet();
                      helperAtWork.countDown();
                      LockSupport.parkNanos(20_000_000);
                      running.decrementAndGet();
                    }));
    assertEquals(0, running.get(), "helpers at work");
  }

  /** The frames up to the end of a stack, more than a helper has. */
  private static final int DEPTHS = 150;

  /**
   * The stack of a helper's thread overflows at any place: the caller neither waits for it forever
   * nor misses a task.
   */
  @Test
  void helpersOnShortStacks() throws Exception {
    for (int depth = 0; depth < DEPTHS; depth++) {
      int frames = depth;
      Scheduler scheduler = new Scheduler(task -> ShortStack.fill(frames, task), 2);
      ShortStack.onThread(() -> assertEachOnce(scheduler, 100, LARGE));
    }
  }
}
