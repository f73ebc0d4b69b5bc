// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Models that are replaced while requests use them. */
final class ModelHolderTest {
  private static final int CALLERS = 16;
  private static final int RELOADS = 100;

  @TempDir private Path folder;

  /** A model that counts how often it was closed. */
  private static final class Model implements AutoCloseable {
    private final AtomicInteger closed = new AtomicInteger();

    @Override
    public void close() {
      closed.incrementAndGet();
    }
  }

  private static ModelHolder<Model> holder(Model first) {
    return ModelHolder.of(
        first,
        file -> {
          throw new IOException("no file here");
        });
  }

  /** Returns a layer whose likeliest output is the given one. */
  private static HierarchicalSoftmax layer(int output) {
    HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 1000).build();
    ClassAssignment classes = layer.assignment();
    layer.b1().set(100, classes.classOf(output));
    layer.b2().set(100, classes.classOf(output), classes.slotOf(output));
    return layer;
  }

  private static void save(Path file, int output) throws IOException {
    try (HierarchicalSoftmax layer = layer(output)) {
      layer.save(file);
    }
  }

  /** Each reload runs beside a call of each caller, and no caller sees an error. */
  @Test
  @Timeout(600)
  @DisabledOnOs(OS.WINDOWS) // Windows cannot replace a mapped file
  void reloadsUnderLoadWithoutAnError() throws Exception {
    Path file = folder.resolve("model");
    save(file, 0);
    ConcurrentLinkedQueue<HierarchicalSoftmax> loaded = new ConcurrentLinkedQueue<>();
    LoadOptions options = LoadOptions.mapped().withWorkers(Workers.callingThread());
    ModelHolder<HierarchicalSoftmax> holder =
        ModelHolder.load(
            file,
            path -> {
              HierarchicalSoftmax layer = HierarchicalSoftmax.load(path, options);
              loaded.add(layer);
              return layer;
            });
    AtomicInteger current = new AtomicInteger();
    Semaphore calls = new Semaphore(0);
    ExecutorService executor = Executors.newFixedThreadPool(CALLERS);
    List<Future<?>> callers = new ArrayList<>();
    for (int i = 0; i < CALLERS; i++) {
      callers.add(executor.submit(() -> callOftenBesideReloads(calls, holder, current)));
    }
    for (int reload = 1; reload <= RELOADS; reload++) {
      save(file, reload);
      try (ModelHolder.Lease<HierarchicalSoftmax> old = holder.acquire()) {
        calls.release(CALLERS);
        holder.reload(file);
        assertEquals(reload - 1, likeliest(old.get()));
      }
      current.set(reload);
    }
    executor.shutdown();
    for (Future<?> caller : callers) {
      caller.get();
    }
    assertEquals(RELOADS, holder.reloads());
    assertEquals(0, holder.failedReloads());
    assertEquals(1 + RELOADS, loaded.size());
    assertEquals(1, loaded.stream().filter(layer -> !layer.b1().isClosed()).count());
    holder.close();
    assertTrue(loaded.stream().allMatch(layer -> layer.b1().isClosed()));
  }

  /** Each answer comes from the model that is current when the call begins, or from a later one. */
  private static Void callOftenBesideReloads(
      Semaphore calls, ModelHolder<HierarchicalSoftmax> holder, AtomicInteger current)
      throws InterruptedException {
    for (int call = 0; call < RELOADS; call++) {
      calls.acquire();
      int oldest = current.get();
      try (ModelHolder.Lease<HierarchicalSoftmax> lease = holder.acquire()) {
        int answer = likeliest(lease.get());
        assertTrue(answer >= oldest && answer <= RELOADS, () -> answer + " after " + oldest);
      }
    }
    return null;
  }

  private static int likeliest(HierarchicalSoftmax layer) {
    try (FloatTensor x = FloatTensor.zeros(1, 2)) {
      return layer.topK(x, 1).output(0, 0);
    }
  }

  @Test
  void closesTheOldModelAfterItsLastUser() {
    Model old = new Model();
    Model fresh = new Model();
    ModelHolder<Model> holder = holder(old);
    ModelHolder.Lease<Model> first = holder.acquire();
    ModelHolder.Lease<Model> second = holder.acquire();
    holder.reload(() -> fresh);
    assertSame(old, first.get());
    try (ModelHolder.Lease<Model> third = holder.acquire()) {
      assertSame(fresh, third.get());
    }
    first.close();
    assertEquals(0, old.closed.get());
    second.close();
    assertEquals(1, old.closed.get());
    holder.close();
    holder.close();
    assertEquals(1, old.closed.get());
    assertEquals(1, fresh.closed.get());
  }

  @Test
  void aLeaseThatIsClosedTwiceEndsNoOtherOne() {
    Model model = new Model();
    ModelHolder<Model> holder = holder(model);
    ModelHolder.Lease<Model> lease = holder.acquire();
    ModelHolder.Lease<Model> other = holder.acquire();
    lease.close();
    lease.close();
    holder.close();
    assertEquals(0, model.closed.get());
    assertFails(
        IllegalStateException.class, "lease: it is closed; acquire another one", lease::get);
    assertSame(model, other.get());
    other.close();
    assertEquals(1, model.closed.get());
  }

  @Test
  void aFailedReloadKeepsTheOldModel() throws IOException {
    Path file = folder.resolve("model");
    save(file, 5);
    try (ModelHolder<HierarchicalSoftmax> holder =
        ModelHolder.load(file, HierarchicalSoftmax::load)) {
      Files.writeString(folder.resolve("text"), "no model");
      FileFormatException thrown =
          assertThrows(FileFormatException.class, () -> holder.reload(folder.resolve("text")));
      assertSame(thrown, holder.lastError().orElseThrow());
      IllegalStateException failure = new IllegalStateException("no copy");
      assertSame(
          failure,
          assertThrows(
              IllegalStateException.class,
              () ->
                  holder.reload(
                      () -> {
                        throw failure;
                      })));
      assertSame(failure, holder.lastError().orElseThrow());
      assertEquals(2, holder.failedReloads());
      assertEquals(0, holder.reloads());
      try (ModelHolder.Lease<HierarchicalSoftmax> lease = holder.acquire()) {
        assertEquals(5, likeliest(lease.get()));
      }
      holder.reload(file);
      assertEquals(Optional.empty(), holder.lastError());
      assertEquals(1, holder.reloads());
    }
  }

  @Test
  void refusesTheCurrentModelAndNone() {
    Model model = new Model();
    try (ModelHolder<Model> holder = holder(model)) {
      assertRejects(
          "model: expected another one than the current one", () -> holder.reload(() -> model));
      assertThrows(NullPointerException.class, () -> holder.reload(() -> null));
      assertEquals(2, holder.failedReloads());
      assertEquals(0, model.closed.get());
    }
    assertThrows(NullPointerException.class, () -> holder(null));
  }

  @Test
  void aClosedHolderRefusesItsUse() {
    ModelHolder<Model> holder = holder(new Model());
    holder.close();
    Model late = new Model();
    for (Runnable use :
        List.<Runnable>of(holder::acquire, holder::age, () -> holder.reload(() -> late))) {
      assertFails(IllegalStateException.class, "holder: the holder is closed", use::run);
    }
    assertEquals(0, late.closed.get());
  }

  /** The holder closes a model that arrives after the holder was closed. */
  @Test
  void aHolderThatIsClosedDuringAReloadClosesTheNewModel() {
    Model late = new Model();
    ModelHolder<Model> holder = holder(new Model());
    assertFails(
        IllegalStateException.class,
        "holder: the holder is closed",
        () ->
            holder.reload(
                () -> {
                  holder.close();
                  return late;
                }));
    assertEquals(1, late.closed.get());
  }

  @Test
  void aLoaderDoesNotReloadItsHolder() {
    Model inner = new Model();
    Model outer = new Model();
    try (ModelHolder<Model> holder = holder(new Model())) {
      assertFails(
          IllegalStateException.class,
          "holder: its loader has reloaded it; load one model at a time",
          () ->
              holder.reload(
                  () -> {
                    holder.reload(() -> inner);
                    return outer;
                  }));
      assertEquals(1, outer.closed.get());
      try (ModelHolder.Lease<Model> lease = holder.acquire()) {
        assertSame(inner, lease.get());
      }
    }
  }

  @Test
  void tellsTheAgeOfTheCurrentModel() throws InterruptedException {
    try (ModelHolder<Model> holder = holder(new Model())) {
      Thread.sleep(2);
      Duration old = holder.age();
      assertTrue(old.toNanos() >= 2_000_000, old::toString);
      long before = System.nanoTime();
      holder.reload(Model::new);
      Duration fresh = holder.age();
      assertTrue(fresh.toNanos() <= System.nanoTime() - before, fresh::toString);
    }
  }

  @Test
  void whatClosingThrowsReachesWhoEndsTheLastLease() {
    Exception failure = new Exception("cannot");
    AutoCloseable broken =
        () -> {
          throw failure;
        };
    AutoCloseable fine = () -> {};
    ModelHolder<AutoCloseable> holder = ModelHolder.of(broken, file -> fine);
    ModelHolder.Lease<AutoCloseable> lease = holder.acquire();
    holder.reload(() -> fine);
    IllegalStateException thrown = assertThrows(IllegalStateException.class, lease::close);
    assertSame(failure, thrown.getCause());
    assertEquals(1, holder.reloads());
    assertFalse(holder.lastError().isPresent());
    assertNotSame(broken, holder.acquire().get());
  }
}
