// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.blocksparse.FileFormatException;
import org.blocksparse.MemoryUse;
import org.blocksparse.internal.events.ExpertsEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.PackedExperts;
import org.blocksparse.internal.memory.DirectFile;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;

/**
 * The experts of a layer whose weights are in a mapped file, and some of them in a cache.
 *
 * <p>Layers share an {@link ExpertCache} of slots; its lock guards what this class counts. A call
 * pins the slots that it computes with, so that no other call replaces them. An expert without a
 * slot is read from the file, past the page cache ({@link DirectFile}). {@link ExpertCache} chooses
 * the slot by how often calls used the experts, where earlier uses count less.
 */
final class CachedExperts implements AutoCloseable {
  private final ExpertCache cache;
  private final Path path;
  private final Storage w1;
  private final Storage w2;
  private final DirectFile file;
  private final long expertBytes;

  /** The bytes to read for an expert. */
  private final long bytesOfWeights;

  // The lock of the cache guards all that follows.

  /** The slot of each expert, or null. */
  private final ExpertCache.Slot[] resident;

  /** Calls that have used each expert; earlier ones count less. */
  private final int[] uses;

  /** Calls that still need each expert. */
  private final int[] wanted;

  private long hits;
  private long misses;
  private long bytesRead;
  private int active;
  private boolean closed;

  /**
   * Adds a layer to a cache.
   *
   * @param experts the experts, whose weights are mapped from one file
   * @throws IllegalArgumentException if the cache has no room for their form
   */
  CachedExperts(ExpertCache cache, PackedExperts experts) throws IOException {
    this.cache = cache;
    this.w1 = experts.w1().storage();
    this.w2 = experts.w2().storage();
    this.path = w1.mapping().file();
    int count = experts.w2().inBlocks();
    this.resident = new ExpertCache.Slot[count];
    this.uses = new int[count];
    this.wanted = new int[count];
    ExpertSlots.Form form = ExpertSlots.Form.of(experts);
    this.expertBytes = form.bytes();
    this.bytesOfWeights = form.bytesOfWeights();
    this.file = DirectFile.open(w1.mapping());
    try {
      cache.add(this, experts);
    } catch (Throwable e) {
      file.close();
      throw e;
    }
  }

  /** Writes the mixtures of the rows of x. */
  void run(PackedExperts experts, Engine engine, Rows x, PackedExperts.Pairs pairs, Rows out) {
    ExpertsEvent event = Recorder.experts();
    ExpertsInUse use = new ExpertsInUse(cache, this, experts, pairs);
    try (use) {
      use.begin();
      experts.run(engine, x, pairs, false, use, out);
    }
    if (event != null) {
      event.record(path.toString(), use.hits(), use.misses(), use.misses() * bytesOfWeights);
    }
  }

  MemoryUse memoryUse() {
    synchronized (cache.lock) {
      long count = 0;
      for (ExpertCache.Slot slot : resident) {
        count += slot == null ? 0 : 1;
      }
      return new MemoryUse(0, count * expertBytes, hits, misses, bytesRead);
    }
  }

  long expertBytes() {
    return expertBytes;
  }

  Storage w1() {
    return w1;
  }

  Storage w2() {
    return w2;
  }

  DirectFile file() {
    return file;
  }

  /** Returns the exception of a call that needs an expert that could not be read. */
  RuntimeException cannotRead(int expert, Throwable failure) {
    IOException cause =
        failure instanceof EOFException
            ? new FileFormatException(
                path,
                "expert " + expert,
                "has shrunk since it was loaded; replace by rename, then reload")
            : new IOException(path + ": expert " + expert + " cannot be read", failure);
    return new UncheckedIOException(cause);
  }

  // ------------------------------------------------------------- from here on, the lock is held

  /** Counts what a call will use. */
  void want(int expert) {
    wanted[expert]++;
    uses[expert]++;
  }

  void unwant(int expert) {
    wanted[expert]--;
  }

  /** Returns the slot of an expert, which is pinned; null if all slots are in use. */
  ExpertCache.Slot takeOrNull(int expert, PackedExperts experts) {
    ExpertCache.Slot slot = resident[expert];
    if (slot == null) {
      slot = cache.readOrNull(this, expert, experts);
      if (slot == null) {
        return null;
      }
      misses++;
    } else {
      hits++;
    }
    cache.pin(slot);
    return slot;
  }

  void forget(ExpertCache.Slot slot) {
    if (resident[slot.expert] == slot) {
      resident[slot.expert] = null;
    }
  }

  boolean isResident(int expert) {
    return resident[expert] != null;
  }

  int uses(int expert) {
    return uses[expert];
  }

  boolean isWanted(int expert) {
    return wanted[expert] > 0;
  }

  void halveUses() {
    for (int e = 0; e < uses.length; e++) {
      uses[e] /= 2;
    }
  }

  void addBytesRead(int bytes) {
    bytesRead += bytes;
  }

  /** Begins a call. */
  void begin() {
    if (closed) {
      throw new IllegalStateException("layer: the layer is closed");
    }
    active++;
  }

  /** Begins to read an expert to a slot. */
  void begin(ExpertCache.Slot slot) {
    resident[slot.expert] = slot;
    active++;
  }

  /** Ends a call or a read. */
  void end() {
    active--;
    if (active == 0 && closed) {
      free();
    }
  }

  private void free() {
    cache.remove(this);
    Arrays.fill(resident, null);
    try {
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  // ----------------------------------------------------------------------- without the lock again

  /** Empties its slots as soon as no call uses them. Idempotent. */
  @Override
  public void close() {
    synchronized (cache.lock) {
      if (!closed) {
        closed = true;
        if (active == 0) {
          free();
        }
      }
    }
  }
}
