// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.ReloadEvent;

/**
 * Holds the model that a service answers with, and replaces it while requests run: a layer, a bag,
 * a classifier, or any other {@link AutoCloseable}. Each request takes a lease on the current
 * model:
 *
 * <pre>{@code
 * var holder = ModelHolder.load(file, f -> HierarchicalSoftmax.load(f, LoadOptions.mapped()));
 *
 * try (var lease = holder.acquire()) {   // in each request
 *   lease.get().topK(x, 10);
 * }
 * holder.reload(file);                   // when a new file has taken the place of the old one
 * }</pre>
 *
 * <p><b>Reloads.</b> Requests that begin after a reload use the new model. Those that run keep the
 * old one, which is closed when its last lease ends. Until then both are in memory. A reload that
 * fails keeps the old model, and throws.
 *
 * <p><b>Ownership.</b> The holder takes ownership of the models: only the holder closes them.
 *
 * <p><b>Metrics.</b> {@link #reloads}, {@link #failedReloads}, {@link #age} and {@link #lastError}
 * are for gauges, counters and health checks. Java Flight Recorder has an event for each reload,
 * {@code org.blocksparse.Reload}.
 *
 * <p><b>Threads.</b> Any number of threads may call all methods. {@link #acquire} and the end of a
 * lease change an atomic counter each, and never wait. Reloads run one after another.
 *
 * <p>If closing an old model throws, the exception reaches the caller that ends its last lease; a
 * checked exception becomes the cause of an {@link IllegalStateException}. No layer of this library
 * throws a checked exception from {@code close}.
 *
 * @param <T> the type of the models
 */
public final class ModelHolder<T extends AutoCloseable> implements AutoCloseable {
  /** Loads a model from a file. */
  @FunctionalInterface
  public interface Loader<T> {
    /**
     * Loads a new model.
     *
     * @throws IOException if the file cannot be read, or does not hold such a model
     */
    T load(Path file) throws IOException;
  }

  /** A model and its reference count. */
  private static final class Held<T extends AutoCloseable> {
    private final T model;
    private final long since = System.nanoTime();

    /** Reference count: one per lease, plus one while the holder uses this model. */
    private final AtomicInteger users = new AtomicInteger(1);

    Held(T model) {
      this.model = model;
    }

    boolean tryAcquire() {
      int seen = users.get();
      while (seen > 0 && !users.compareAndSet(seen, seen + 1)) {
        seen = users.get();
      }
      return seen > 0;
    }

    void release() {
      if (users.decrementAndGet() == 0) {
        ModelHolder.close(model);
      }
    }
  }

  /**
   * The use of a model, from {@link ModelHolder#acquire} until it is closed. It may be closed more
   * than once, and by any thread.
   *
   * @param <T> the type of the model
   */
  public static final class Lease<T extends AutoCloseable> implements AutoCloseable {
    private final AtomicReference<Held<T>> held;

    private Lease(Held<T> held) {
      this.held = new AtomicReference<>(held);
    }

    /**
     * Returns the model, to be used until this lease is closed. The holder closes it, not the
     * caller.
     *
     * @throws IllegalStateException if this lease is closed
     */
    public T get() {
      Held<T> current = held.get();
      if (current == null) {
        throw new IllegalStateException("lease: it is closed; acquire another one");
      }
      return current.model;
    }

    /** Ends the use of the model. */
    @Override
    public void close() {
      Held<T> current = held.getAndSet(null);
      if (current != null) {
        current.release();
      }
    }
  }

  private final Loader<? extends T> loader;

  /** The current model; null once the holder is closed. */
  private final AtomicReference<Held<T>> current;

  private final Object reloading = new Object();
  private final AtomicInteger reloads = new AtomicInteger();
  private final AtomicInteger failedReloads = new AtomicInteger();
  private volatile Throwable lastError;

  private ModelHolder(T model, Loader<? extends T> loader) {
    this.loader = requireNonNull(loader, "loader");
    this.current = new AtomicReference<>(new Held<>(requireNonNull(model, "model")));
  }

  /**
   * Returns a holder of a model that is in memory already.
   *
   * @param model the first model, which becomes the holder's own
   * @param loader loads the models of {@link #reload(Path)}
   */
  public static <T extends AutoCloseable> ModelHolder<T> of(T model, Loader<? extends T> loader) {
    return new ModelHolder<>(model, loader);
  }

  /**
   * Returns a holder of a model that is loaded from a file.
   *
   * @param loader loads it, and the models of {@link #reload(Path)}
   * @throws IOException if the loader throws it
   */
  public static <T extends AutoCloseable> ModelHolder<T> load(Path file, Loader<? extends T> loader)
      throws IOException {
    requireNonNull(file, "file");
    return of(requireNonNull(loader, "loader").load(file), loader);
  }

  /**
   * Returns a lease on the current model, which the caller closes:
   *
   * <pre>{@code
   * try (var lease = holder.acquire()) {
   *   lease.get() ...
   * }
   * }</pre>
   *
   * @throws IllegalStateException if the holder is closed
   */
  public Lease<T> acquire() {
    while (true) {
      Held<T> held = current();
      if (held.tryAcquire()) {
        return new Lease<>(held);
      }
      // Replaced since it was read: another one is current.
    }
  }

  private Held<T> current() {
    Held<T> held = current.get();
    if (held == null) {
      throw closed();
    }
    return held;
  }

  private static IllegalStateException closed() {
    return new IllegalStateException("holder: the holder is closed");
  }

  /**
   * Loads another model, and replaces the current one by it. The path may be that of the current
   * mapped model, if a new file replaced it by rename. All save methods replace by rename.
   *
   * @throws IOException if the loader throws it; the current model stays, also after any other
   *     exception of the loader
   * @throws IllegalArgumentException if the loader returns the current model
   * @throws IllegalStateException if the holder is closed, or if the loader reloads it itself
   */
  public void reload(Path file) throws IOException {
    requireNonNull(file, "file");
    replace(file.toString(), () -> loader.load(file));
  }

  /**
   * Replaces the current model by another one: for example, by the copy of a layer that continues
   * to train.
   *
   * @param models returns a new model, and the holder takes ownership; if it throws, the current
   *     model stays
   * @throws IllegalArgumentException if it returns the current model
   * @throws IllegalStateException if the holder is closed, or if {@code models} reloads it itself
   */
  public void reload(Supplier<? extends T> models) {
    requireNonNull(models, "models");
    replace("", models::get);
  }

  private interface Source<T, E extends Exception> {
    T next() throws E;
  }

  private <E extends Exception> void replace(String file, Source<? extends T, E> source) throws E {
    synchronized (reloading) {
      ReloadEvent event = Recorder.reload();
      Throwable error = null;
      Held<T> old;
      try {
        old = replacedBy(source);
        reloads.incrementAndGet();
      } catch (Throwable e) {
        failedReloads.incrementAndGet();
        error = e;
        throw e;
      } finally {
        lastError = error;
        if (event != null) {
          event.record(file, error);
        }
      }
      old.release();
    }
  }

  private <E extends Exception> Held<T> replacedBy(Source<? extends T, E> source) throws E {
    Held<T> old = current();
    T next = requireNonNull(source.next(), "model");
    if (next == old.model) {
      throw new IllegalArgumentException("model: expected another one than the current one");
    }
    Held<T> fresh = new Held<>(next);
    if (!current.compareAndSet(old, fresh)) { // reloads of other threads wait
      fresh.release();
      throw current.get() == null
          ? closed()
          : new IllegalStateException(
              "holder: its loader has reloaded it; load one model at a time");
    }
    return old;
  }

  private static void close(AutoCloseable model) {
    try {
      model.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("model: cannot be closed", e);
    }
  }

  /** Returns how many reloads have succeeded. */
  public int reloads() {
    return reloads.get();
  }

  /** Returns how many reloads have failed. */
  public int failedReloads() {
    return failedReloads.get();
  }

  /** Returns the cause of the last failed reload; empty if it succeeded, or if there was none. */
  public Optional<Throwable> lastError() {
    return Optional.ofNullable(lastError);
  }

  /**
   * Returns the time since the current model was loaded.
   *
   * @throws IllegalStateException if the holder is closed
   */
  public Duration age() {
    return Duration.ofNanos(System.nanoTime() - current().since);
  }

  /**
   * Ends the service: the current model is closed when its last lease ends, and {@link #acquire}
   * throws from now on. Idempotent.
   */
  @Override
  public void close() {
    Held<T> held = current.getAndSet(null);
    if (held != null) {
      held.release();
    }
  }

  @Override
  public String toString() {
    Held<T> held = current.get();
    return "ModelHolder(" + (held == null ? "closed" : held.model) + ", " + reloads + " reloads)";
  }
}
