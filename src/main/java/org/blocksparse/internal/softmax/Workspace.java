// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * The intermediate results of one call on a two-level softmax, and schedules that calls have in
 * common. Memory grows to what the largest call needed and is used again by the next one.
 */
public final class Workspace implements AutoCloseable {
  /** What the memory is for. */
  public enum Use {
    /** (batch, classes): logits, probabilities or gradients of the classes. */
    CLASSES,
    /** (rows, slots): the same of the outputs in the opened class of each row. */
    SLOTS,
    /** (batch): loss of the class. */
    CLASS_LOSS,
    /** (rows): loss within the opened class. */
    SLOT_LOSS,
    /** (batch): weight of each row in the loss. */
    WEIGHTS,
    /** (rows): the same where a row of the batch opens several classes. */
    SLOT_WEIGHTS,
    /** Integers: the classes of the targets. */
    CLASS_TARGETS,
    /** (batch + 1) integers: where those of each row begin. */
    CLASS_TARGET_OFFSETS,
    /** Integers: the slots of the targets. */
    SLOT_TARGETS,
    /** (rows + 1) integers: where those of each opened class begin. */
    SLOT_TARGET_OFFSETS,
    /** (rows, features): what opened classes add to the gradient with respect to x. */
    GRAD_ROWS,
    /** (features, classes): gradient with respect to W1. */
    GRAD_W1,
    /** (classes): gradient with respect to b1. */
    GRAD_B1,
    /** (rows): factor or summand of each row's softmax. */
    SCALE
  }

  /**
   * Workspaces that wait for the next call, at most two for each processor: more calls at the same
   * time are rare, and what they took is not kept. There is no lock, as in the pool of scratch.
   */
  public static final class Pool {
    private final IntFunction<GemmSchedule> grid;
    private final AtomicReferenceArray<Workspace> idle =
        new AtomicReferenceArray<>(2 * Runtime.getRuntime().availableProcessors());
    private volatile boolean closed;

    /**
     * An empty pool.
     *
     * @param grid makes the schedule of all classes for a number of rows
     */
    public Pool(IntFunction<GemmSchedule> grid) {
      this.grid = grid;
    }

    /** A workspace for one call, which closes it. */
    public Workspace borrow() {
      Workspace workspace = poll();
      return workspace != null ? workspace : new Workspace(this);
    }

    private Workspace poll() {
      for (int slot = 0; slot < idle.length(); slot++) {
        Workspace workspace = idle.get(slot) == null ? null : idle.getAndSet(slot, null);
        if (workspace != null) {
          return workspace;
        }
      }
      return null;
    }

    private void giveBack(Workspace workspace) {
      for (int slot = 0; slot < idle.length(); slot++) {
        if (idle.get(slot) == null && idle.compareAndSet(slot, null, workspace)) {
          if (closed) {
            close();
          }
          return;
        }
      }
      workspace.free();
    }

    /** Frees what is idle now, and what is given back later. */
    public void close() {
      closed = true;
      for (Workspace workspace = poll(); workspace != null; workspace = poll()) {
        workspace.free();
      }
    }
  }

  /**
   * The latest schedules that depend on a number of rows only. They are of one workspace, and so of
   * one call at a time: what is dropped here is not in use.
   */
  private static final class Schedules<S> {
    private static final int ENTRIES = 4;

    private final IntFunction<S> maker;
    private final Consumer<S> closer;
    private final Map<Integer, S> latest =
        new LinkedHashMap<>(ENTRIES, 0.75f, true) {
          @Override
          protected boolean removeEldestEntry(Map.Entry<Integer, S> eldest) {
            boolean tooMany = size() > ENTRIES;
            if (tooMany) {
              closer.accept(eldest.getValue());
            }
            return tooMany;
          }
        };

    Schedules(IntFunction<S> maker, Consumer<S> closer) {
      this.maker = maker;
      this.closer = closer;
    }

    S get(int rows) {
      return latest.computeIfAbsent(rows, maker::apply);
    }

    void free() {
      latest.values().forEach(closer);
    }
  }

  private final Pool pool;
  private final Map<Use, Storage> memory = new EnumMap<>(Use.class);
  private final Schedules<GemmSchedule> dense =
      new Schedules<>(GemmSchedule::dense, GemmSchedule::close);
  private final Schedules<OuterSchedule> denseOuter =
      new Schedules<>(OuterSchedule::dense, OuterSchedule::close);
  private final Schedules<GemmSchedule> grid;

  private Workspace(Pool pool) {
    this.pool = pool;
    this.grid = new Schedules<>(pool.grid, GemmSchedule::close);
  }

  /** Memory of at least the given size, whose content is undefined. */
  public Storage get(Use use, long elements) {
    Storage storage = memory.get(use);
    if (storage == null || storage.elements() < elements) {
      if (storage != null) {
        // Gone from here first: the allocation may fail, and a later call must not find it closed.
        memory.remove(use);
        storage.close();
      }
      storage = Storage.allocate(elements);
      memory.put(use, storage);
    }
    return storage;
  }

  /** The schedule of a dense layer for a number of rows. */
  public GemmSchedule dense(int rows) {
    return dense.get(rows);
  }

  /** The schedule of a dense layer's outer products for a number of rows. */
  public OuterSchedule denseOuter(int rows) {
    return denseOuter.get(rows);
  }

  /** The schedule of all classes for each of a number of rows. */
  public GemmSchedule grid(int rows) {
    return grid.get(rows);
  }

  private void free() {
    memory.values().forEach(Storage::close);
    dense.free();
    denseOuter.free();
    grid.free();
  }

  /** Gives the workspace back to its pool. */
  @Override
  public void close() {
    pool.giveBack(this);
  }
}
