// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.blocksparse.internal.kernels.PackedExperts;
import org.blocksparse.internal.memory.DirectFile;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.io.LoadOptions;

/**
 * Memory for the experts of layers that are larger than memory. Each layer that {@link
 * MixtureOfExperts#load(java.nio.file.Path, LoadOptions, ExpertCache)} loads keeps its experts in
 * its file. A call reads those that its rows have chosen, unless they are in the cache; the results
 * have the bits of a layer in memory.
 *
 * <p>All layers of a model share one cache, so that its memory goes to the experts that are used
 * most often. Their experts have the same shapes and types. The cache keeps the experts that most
 * calls have used, where recent calls count more.
 *
 * <p>A call reads its missing experts in the order of their numbers, several at a time, and
 * multiplies by the first ones while it reads others. It works with any memory that holds at least
 * one expert. Reads bypass the page cache if the file system allows it.
 *
 * <p>Any number of threads may use a cache at the same time. Close its layers first: a layer that
 * is not closed stays in the cache, even if it is garbage.
 */
public final class ExpertCache implements AutoCloseable {
  /** The number of reads at a time: enough to keep a fast disk busy. */
  private static final int READERS = 8;

  private static final long IDLE_SECONDS = 10;

  /** Uses of experts, for each slot, after which earlier uses count half. */
  private static final int USES_PER_SLOT = 64;

  /** A place for an expert. Guarded by the lock. */
  static final class Slot {
    final int number;
    CachedExperts layer;
    int expert;

    /** Calls that use it. */
    int pins;

    /** Reads that have not ended. */
    int reads;

    /** The reason why the expert cannot be used, or null. */
    Throwable failure;

    private long lastUse;

    private Slot(int number) {
      this.number = number;
    }

    boolean isBeingRead() {
      return reads > 0 && failure == null;
    }

    boolean isFilled() {
      return reads == 0 && failure == null;
    }
  }

  final Object lock = new Object();
  private final long bytes;
  private final boolean locked;
  private final ThreadPoolExecutor readers;
  private final List<CachedExperts> layers = new ArrayList<>();
  private ExpertSlots memory;

  /** The slots that have been filled. */
  private final List<Slot> slots = new ArrayList<>();

  private long clock;
  private long uses;

  /** Calls and reads in progress. */
  private int active;

  private boolean closed;

  private ExpertCache(long bytes, boolean locked) {
    if (bytes <= 0) {
      throw new IllegalArgumentException("bytes: expected a positive number but was " + bytes);
    }
    this.bytes = bytes;
    this.locked = locked;
    this.readers =
        new ThreadPoolExecutor(
            READERS,
            READERS,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "blocksparse-experts");
              thread.setDaemon(true);
              return thread;
            });
    readers.allowCoreThreadTimeOut(true);
  }

  /**
   * Returns a cache of at most that many bytes. The first layer reserves them; on Linux, they take
   * memory as they are filled.
   *
   * @throws IllegalArgumentException unless the bytes are positive
   */
  public static ExpertCache ofBytes(long bytes) {
    return new ExpertCache(bytes, false);
  }

  /**
   * Returns a cache of at most that many bytes that the system never swaps out: the first layer
   * locks all of them. Locking needs the native library.
   *
   * @throws IllegalArgumentException unless the bytes are positive
   */
  public static ExpertCache ofLockedBytes(long bytes) {
    return new ExpertCache(bytes, true);
  }

  /** Returns the maximum number of bytes of experts in memory. */
  public long bytes() {
    return bytes;
  }

  /**
   * Adds a layer.
   *
   * @throws IllegalArgumentException if not one of its experts has room, or its experts have
   *     another form than those of other layers
   * @throws IllegalStateException if the cache is closed, or cannot be locked
   */
  void add(CachedExperts layer, PackedExperts experts) {
    ExpertSlots.Form form = ExpertSlots.Form.of(experts);
    synchronized (lock) {
      requireOpen();
      if (memory == null) {
        if (form.bytes() > bytes) {
          throw new IllegalArgumentException(
              "cache: expected at least the "
                  + form.bytes()
                  + " bytes of an expert but was one of "
                  + bytes
                  + " bytes");
        }
        int count = (int) Math.min(Integer.MAX_VALUE, bytes / form.bytes());
        memory = new ExpertSlots(form, count, locked);
      } else if (!form.equals(memory.form())) {
        throw new IllegalArgumentException(
            "cache: expected experts "
                + memory.form()
                + ", as the cache has, but was "
                + form
                + "; give other experts a cache of their own");
      }
      layers.add(layer);
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("cache: the cache is closed");
    }
  }

  // ------------------------------------------------------------- from here on, the lock is held

  /**
   * Begins a call.
   *
   * @throws IllegalStateException if the cache is closed
   */
  PackedExperts begin(PackedExperts experts, int count) {
    requireOpen();
    active++;
    uses += count;
    if (uses > (long) USES_PER_SLOT * memory.count()) {
      uses /= 2;
      layers.forEach(CachedExperts::halveUses);
    }
    return memory.insteadOf(experts);
  }

  /** Ends a call or a read. */
  void end() {
    active--;
    if (active == 0 && closed) {
      free();
    }
  }

  /** Returns a slot for an expert of a layer, which is read to it; null if all are in use. */
  Slot readOrNull(CachedExperts layer, int expert, PackedExperts experts) {
    Slot slot = leastUsedOrNull();
    if (slot == null) {
      return null;
    }
    if (slot.layer != null) {
      slot.layer.forget(slot);
    }
    memory.putScalesAndBias(experts, expert, slot.number);
    List<Piece> pieces = new ArrayList<>();
    addPieces(layer.w1(), memory.w1(), memory.form().w1(), expert, slot.number, pieces);
    addPieces(layer.w2(), memory.w2(), memory.form().w2(), expert, slot.number, pieces);
    slot.layer = layer;
    slot.expert = expert;
    slot.failure = null;
    slot.reads = pieces.size();
    active++;
    layer.begin(slot);
    for (Piece piece : pieces) {
      try {
        readers.execute(() -> read(layer, slot, piece));
      } catch (Throwable e) { // no thread can start
        ended(slot, 0, e);
      }
    }
    return slot;
  }

  /** Returns a slot that no call uses: a new one, or that of the least used expert. */
  private Slot leastUsedOrNull() {
    if (slots.size() < memory.count()) {
      Slot next = new Slot(slots.size());
      slots.add(next);
      return next;
    }
    Slot best = null;
    for (Slot slot : slots) {
      if (slot.pins == 0 && slot.reads == 0) {
        if (slot.layer == null) {
          return slot;
        }
        if (best == null || isLessUseful(slot, best)) {
          best = slot;
        }
      }
    }
    return best;
  }

  /**
   * Compares two experts; of equally used ones, the last used is less useful, as a prompt uses all
   * in turn.
   */
  private static boolean isLessUseful(Slot a, Slot b) {
    boolean aWanted = a.layer.isWanted(a.expert);
    boolean bWanted = b.layer.isWanted(b.expert);
    int byUses = Integer.compare(a.layer.uses(a.expert), b.layer.uses(b.expert));
    return aWanted != bWanted ? bWanted : byUses != 0 ? byUses < 0 : a.lastUse > b.lastUse;
  }

  /** A part of the weights of an expert, in a file and in memory. */
  private record Piece(long position, int length, Storage to, long at) {}

  private static void addPieces(
      Storage mapped, Storage to, Panels panels, int expert, int slot, List<Piece> pieces) {
    long bytes = panels.blockBytes();
    for (long at = 0; at < bytes; at += DirectFile.MAX_BYTES) {
      int length = (int) Math.min(DirectFile.MAX_BYTES, bytes - at);
      long position = mapped.mappedPosition() + expert * bytes + at;
      pieces.add(new Piece(position, length, to, slot * bytes + at));
    }
  }

  /** Reads in a thread of its own, without the lock. */
  private void read(CachedExperts layer, Slot slot, Piece piece) {
    Throwable failure = null;
    try {
      layer.file().read(piece.position, piece.length, piece.to, piece.at);
    } catch (Throwable e) { // a call that needs the expert throws it
      failure = e;
    }
    synchronized (lock) {
      ended(slot, failure == null ? piece.length : 0, failure);
    }
  }

  private void ended(Slot slot, int bytesRead, Throwable failure) {
    CachedExperts layer = slot.layer;
    layer.addBytesRead(bytesRead);
    if (failure != null) {
      slot.failure = failure;
    }
    slot.reads--;
    if (slot.reads == 0) {
      if (slot.failure != null) {
        layer.forget(slot);
        slot.layer = null;
      }
      try {
        layer.end();
      } finally {
        end();
      }
    }
    lock.notifyAll();
  }

  void pin(Slot slot) {
    slot.pins++;
    slot.lastUse = ++clock;
  }

  void unpin(Slot slot) {
    slot.pins--;
    lock.notifyAll();
  }

  /** Empties the slots of a layer, which is closed. */
  void remove(CachedExperts layer) {
    layers.remove(layer);
    for (Slot slot : slots) {
      if (slot.layer == layer) {
        slot.layer = null;
      }
    }
  }

  private void free() {
    memory.close();
    readers.shutdown();
  }

  // ----------------------------------------------------------------------- without the lock again

  /**
   * Frees the memory as soon as no call uses it; further calls of its layers throw {@link
   * IllegalStateException}. Idempotent.
   */
  @Override
  public void close() {
    synchronized (lock) {
      if (!closed) {
        closed = true;
        if (active == 0 && memory != null) {
          free();
        }
      }
    }
  }

  @Override
  public String toString() {
    synchronized (lock) {
      return "ExpertCache("
          + bytes
          + " bytes"
          + (memory == null ? "" : ", " + memory.count() + " experts " + memory.form())
          + (closed ? ", closed)" : ")");
    }
  }
}
