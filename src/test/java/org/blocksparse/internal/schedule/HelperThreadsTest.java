// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.lang.ref.WeakReference;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

final class HelperThreadsTest {
  /** The threads that have run a task. */
  private final BlockingQueue<Thread> ran = new LinkedBlockingQueue<>();

  private HelperThreads.Task task(long spinNanos, Runnable action) {
    return new HelperThreads.Task() {
      @Override
      public long spinNanos() {
        return spinNanos;
      }

      @Override
      public void help(Runnable beforeLeaving) {
        ran.add(Thread.currentThread());
        action.run();
        beforeLeaving.run();
      }
    };
  }

  private Thread next() throws InterruptedException {
    Thread thread = ran.poll(600, TimeUnit.SECONDS);
    assertTrue(thread != null, "no helper came");
    return thread;
  }

  /** Waits until the thread has that state. */
  private static void await(Thread thread, Thread.State state) {
    while (thread.getState() != state) {
      Thread.onSpinWait();
    }
  }

  @Test
  void oneHelperRunsTaskAfterTask() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(3, new AtomicInteger());
    helpers.ask(task(0, () -> {}), 1);
    Thread first = next();
    assertTrue(first.isDaemon());
    assertSame(ClassLoader.getSystemClassLoader(), first.getContextClassLoader());
    for (int i = 0; i < 1000; i++) {
      await(first, Thread.State.TIMED_WAITING);
      helpers.ask(task(0, () -> {}), 1);
      assertSame(first, next());
    }
  }

  /** Tasks that are posted while a helper spins, parks or works are never lost. */
  @Test
  void noTaskOfAnIdleHelperIsLost() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(1, new AtomicInteger());
    for (int i = 0; i < 20_000; i++) {
      helpers.ask(task(i % 7 * 3_000L, () -> {}), 1);
      next();
    }
  }

  @Test
  void asManyAsAreAskedForWhichMayBeAll() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(3, new AtomicInteger());
    CountDownLatch all = new CountDownLatch(3);
    HelperThreads.Task meeting =
        task(
            0,
            () -> {
              all.countDown();
              try {
                all.await();
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    helpers.ask(meeting, 3);
    Thread first = next();
    Thread second = next();
    assertNotSame(first, second);
    next();
    assertTrue(ran.isEmpty());
  }

  @Test
  void aTaskThatThrowsEndsNoHelper() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(1, new AtomicInteger());
    helpers.ask(
        task(
            0,
            () -> {
              throw new StackOverflowError("of the test");
            }),
        1);
    Thread first = next();
    await(first, Thread.State.TIMED_WAITING);
    helpers.ask(task(0, () -> {}), 1);
    assertSame(first, next());
  }

  @Test
  void noHelperSpinsWhileCallersCompete() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(1, new AtomicInteger(2));
    helpers.ask(task(Long.MAX_VALUE / 2, () -> {}), 1);
    await(next(), Thread.State.TIMED_WAITING);
  }

  @Test
  void anInterruptedHelperSleepsOn() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(1, new AtomicInteger());
    helpers.ask(task(0, () -> {}), 1);
    Thread first = next();
    await(first, Thread.State.TIMED_WAITING);
    first.interrupt();
    while (first.isInterrupted()) {
      Thread.onSpinWait();
    }
    await(first, Thread.State.TIMED_WAITING);
    assertTrue(first.isAlive());
  }

  /** Calls what it is given, from a class loader of its own. */
  public static final class Caller implements Consumer<Runnable> {
    @Override
    public void accept(Runnable action) {
      action.run();
    }
  }

  private static Consumer<?> callerOfAnotherLoader() throws Exception {
    String name = Caller.class.getName();
    byte[] code;
    try (InputStream in =
        Caller.class.getResourceAsStream(name.substring(name.lastIndexOf('.') + 1) + ".class")) {
      code = in.readAllBytes();
    }
    ClassLoader loader =
        new ClassLoader(null) {
          @Override
          protected Class<?> findClass(String ignored) {
            return defineClass(name, code, 0, code.length);
          }
        };
    return (Consumer<?>) loader.loadClass(name).getConstructor().newInstance();
  }

  @Test
  @SuppressWarnings("unchecked")
  void aHelperDoesNotHoldTheClassLoaderOfACaller() throws Exception {
    HelperThreads helpers = new HelperThreads(1, new AtomicInteger());
    CountDownLatch unloaded = new CountDownLatch(1);
    HelperThreads.Task stay =
        task(
            0,
            () -> {
              try {
                unloaded.await();
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    Consumer<Runnable> caller = (Consumer<Runnable>) callerOfAnotherLoader();
    caller.accept(() -> helpers.ask(stay, 1));
    Thread helper = next();
    WeakReference<ClassLoader> loader = new WeakReference<>(caller.getClass().getClassLoader());
    assertNotSame(getClass().getClassLoader(), loader.get());
    caller = null;
    for (int i = 0; i < 100 && loader.get() != null; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertTrue(helper.isAlive());
    assertNull(loader.get());
    unloaded.countDown();
  }

  @Test
  void anIdleHelperEndsAndAnotherOneBegins() throws InterruptedException {
    HelperThreads helpers = new HelperThreads(1, new AtomicInteger());
    helpers.ask(task(0, () -> {}), 1);
    Thread first = next();
    first.join();
    assertFalse(first.isAlive());
    helpers.ask(task(0, () -> {}), 1);
    assertNotSame(first, next());
    assertEquals(0, ran.size());
  }
}
