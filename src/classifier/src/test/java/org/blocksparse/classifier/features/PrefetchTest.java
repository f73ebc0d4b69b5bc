// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;
import org.blocksparse.Workers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Work on another thread has the same outcome as on the caller's. */
final class PrefetchTest {
  private static final Workers OWN = Workers.of(Runnable::run, 2);

  private static Workers workers(String which) {
    return which.equals("common") ? Workers.common() : OWN;
  }

  /** An OutOfMemoryError is rethrown itself: a new exception would lose its type. */
  @ParameterizedTest
  @ValueSource(strings = {"common", "own"})
  void errorsAreThemselves(String which) throws InterruptedException {
    for (Throwable thrown :
        new Throwable[] {new OutOfMemoryError("cannot allocate"), new IllegalStateException()}) {
      CountDownLatch hasBegun = new CountDownLatch(1);
      FutureTask<Integer> task =
          Prefetch.begin(
              () -> {
                hasBegun.countDown();
                if (thrown instanceof Error error) {
                  throw error;
                }
                throw (RuntimeException) thrown;
              },
              workers(which));
      if (Prefetch.isPossible(workers(which))) {
        hasBegun.await();
      }
      assertSame(thrown, assertThrows(Throwable.class, () -> Prefetch.result(task)));
    }
  }

  @Test
  void whatHasNotBegunIsDoneByTheThreadThatAsks() {
    Supplier<Thread> work = Thread::currentThread;
    assertSame(
        Thread.currentThread(), Prefetch.result(Prefetch.begin(work, Workers.callingThread())));
    // The common pool does not replace the threads of an executor.
    assertSame(Thread.currentThread(), Prefetch.result(Prefetch.begin(work, OWN)));
  }

  @Test
  void anInterruptIsKeptForOthers() throws InterruptedException {
    assumeTrue(Prefetch.isPossible(Workers.common()));
    CountDownLatch hasBegun = new CountDownLatch(1);
    CompletableFuture<Void> goOn = new CompletableFuture<>();
    FutureTask<Thread> task =
        Prefetch.begin(
            () -> {
              hasBegun.countDown();
              goOn.join();
              return Thread.currentThread();
            },
            Workers.common());
    hasBegun.await();
    Thread asking = Thread.currentThread();
    Thread interrupting =
        new Thread(
            () -> {
              asking.interrupt();
              goOn.complete(null);
            });
    interrupting.start();
    assertNotSame(asking, Prefetch.result(task));
    assertTrue(Thread.interrupted()); // otherwise the join would fail
    interrupting.join();
  }
}
