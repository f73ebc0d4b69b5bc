// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.SoftPool;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.RowSchedules;

/**
 * The intermediate results of one call on a two-level softmax, and schedules that calls have in
 * common.
 *
 * <p><b>Structure.</b> Each result has a place of its own, by {@link Use} off the heap and by
 * {@link Ints} on it, so that no two results of a call share memory. A layer has a {@link Pool}: a
 * call borrows a workspace, or makes one if none is idle, and gives it back at its end. So calls at
 * the same time have one each, and a workspace needs no locks.
 *
 * <p><b>Cost.</b> Memory and arrays grow to what the largest call needed, and later calls use them
 * again: in steady state, a call allocates nothing. The collector may take idle workspaces when
 * memory is short ({@link SoftPool}). Of schedules that depend on the number of rows alone, the
 * four latest are kept.
 */
final class Workspace implements AutoCloseable {
  /** The uses of the memory. */
  public enum Use {
    /** (batch, classes): logits, probabilities or gradients of the classes. */
    CLASSES,
    /** (rows, slots): the same of the outputs in the opened class of each row. */
    SLOTS,
    /** (batch, classes): logits of the classes, from which {@link #CLASSES} are computed. */
    CLASS_LOGITS,
    /** (batch, features): x without the elements that dropout sets to zero. */
    DROPPED_X,
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
    /** (batch + 1) integers: the begins of the rows among them. */
    CLASS_TARGET_OFFSETS,
    /** Integers: the slots of the targets. */
    SLOT_TARGETS,
    /** (rows + 1) integers: the begins of the opened classes among them. */
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

  /** The uses of arrays of integers on the heap. */
  public enum Ints {
    /** (batch): the targets. */
    TARGETS,
    /** (batch + 1): the begins of each row's targets. */
    TARGET_OFFSETS,
    /** (rows): the rows that count in a loss. */
    ROWS,
    /** (rows), or (opened classes): the classes of targets. */
    CLASSES,
    /** (rows), or (targets): the slots of targets. */
    SLOTS,
    /** (batch + 1): the begins of the classes that each row opens. */
    OPENED_STARTS,
    /** (opened classes): the row that opens each. */
    OPENING_ROWS,
    /** (opened classes + 1): the begins of the slots that are targets. */
    SLOT_STARTS,
    /** (targets): the request of each target. */
    REQUESTS,
    /** (requests): the row of x that is read. */
    REQUEST_ROWS,
    /** (requests): the class that is opened. */
    REQUEST_CLASSES,
    /** (classes): the latest request for each class. */
    REQUEST_OF_CLASS,
    /** (active rows + 1): the begins of each row's requests. */
    REQUEST_STARTS,
    /** (opened classes + 1): the begins of each class's chunks. */
    CHUNK_STARTS,
    /** (classes): how often each is opened. */
    OPENED_OF_CLASS,
    /** (batch + 1): {@link #OPENED_STARTS} of some of the classes. */
    SOME_OPENED_STARTS,
    /** (opened classes): {@link #CLASSES} of some of the classes. */
    SOME_CLASSES,
    /** (opened classes): {@link #OPENING_ROWS} of some of the classes. */
    SOME_OPENING_ROWS,
    /** (opened classes + 1): {@link #SLOT_STARTS} of some of the classes. */
    SOME_SLOT_STARTS,
    /** (targets): {@link #SLOTS} of some of the classes. */
    SOME_SLOTS,
    /** (rows) zeros: the only block. */
    ZEROS
  }

  /** The uses of schedules of rows. */
  public enum Schedule {
    /** The rows of opened classes. */
    OPENED,
    /** The rows of opened classes, with their summands of the gradient with respect to x. */
    OPENED_TO_X,
    /** The sums of these summands over the classes. */
    SUMS,
    /** The class level, if not all rows count. */
    CLASS_LEVEL
  }

  /** The workspaces that wait for the next call. */
  public static final class Pool {
    private final IntFunction<GemmSchedule> grid;
    private final SoftPool<Workspace> idle = new SoftPool<>();
    private volatile boolean closed;

    /**
     * Creates an empty pool.
     *
     * @param grid makes the schedule of all classes for a number of rows
     */
    public Pool(IntFunction<GemmSchedule> grid) {
      this.grid = grid;
    }

    /** Returns a workspace for one call, which closes it. */
    public Workspace borrow() {
      Workspace workspace = idle.poll();
      return workspace != null ? workspace : new Workspace(this);
    }

    private void giveBack(Workspace workspace) {
      if (!idle.offer(workspace)) {
        workspace.free();
      } else if (closed) {
        close();
      }
    }

    /** Frees the idle workspaces, and others when they are given back. */
    public void close() {
      closed = true;
      for (Workspace workspace = idle.poll(); workspace != null; workspace = idle.poll()) {
        workspace.free();
      }
    }
  }

  /**
   * The latest schedules that depend on a number of rows only. They belong to one workspace, and so
   * to one call at a time: a schedule dropped here is not in use.
   */
  private static final class LatestSchedules<S> {
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

    LatestSchedules(IntFunction<S> maker, Consumer<S> closer) {
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

  private static final int[] NO_INTS = {};
  private static final float[] NO_FLOATS = {};

  private final Pool pool;
  private final Map<Use, Storage> memory = new EnumMap<>(Use.class);
  private final Map<Ints, int[]> ints = new EnumMap<>(Ints.class);
  private final Map<Schedule, RowSchedules> schedules = new EnumMap<>(Schedule.class);
  private final SoftPool<float[]> rows = new SoftPool<>();
  private final SearchBuffers searchBuffers = new SearchBuffers();
  private float[] weights = new float[0];
  private double[] losses = new double[0];
  private long[] longs = new long[0];
  private final LatestSchedules<GemmSchedule> dense =
      new LatestSchedules<>(GemmSchedule::dense, GemmSchedule::close);
  private final LatestSchedules<OuterSchedule> denseOuter =
      new LatestSchedules<>(OuterSchedule::dense, OuterSchedule::close);
  private final LatestSchedules<GemmSchedule> grid;

  private Workspace(Pool pool) {
    this.pool = pool;
    this.grid = new LatestSchedules<>(pool.grid, GemmSchedule::close);
  }

  /** Returns memory of at least the given size, whose content is undefined. */
  public Storage get(Use use, long elements) {
    Storage storage = memory.get(use);
    if (storage == null || storage.elements() < elements) {
      if (storage != null) {
        // The old memory is removed first: if the allocation fails, a later call must not find
        // closed memory.
        memory.remove(use);
        storage.close();
      }
      storage = Storage.allocate(elements);
      memory.put(use, storage);
    }
    return storage;
  }

  /** Returns at least that many integers on the heap, with the content of their latest use. */
  public int[] ints(Ints use, int count) {
    int[] array = ints.get(use);
    if (array == null || array.length < count) {
      array = GrowingArrays.ints(array == null ? NO_INTS : array, count);
      ints.put(use, array);
    }
    return array;
  }

  /** Sets the element after the first {@code count}, which are kept. */
  void append(Ints use, int count, int value) {
    int[] array = ints(use, 0);
    if (array.length == count) {
      array = Arrays.copyOf(array, Math.max(16, 2 * count));
      ints.put(use, array);
    }
    array[count] = value;
  }

  /** Returns as many zeros, and perhaps more. */
  int[] zeros(int count) {
    return ints(Ints.ZEROS, count); // nobody writes them
  }

  /**
   * Returns the (batch) weights of rows in a loss; at least {@code count} elements with undefined
   * content.
   */
  public float[] weights(int count) {
    weights = GrowingArrays.floats(weights, count);
    return weights;
  }

  /** Returns the (rows) losses; at least {@code count} elements with undefined content. */
  double[] losses(int count) {
    losses = GrowingArrays.doubles(losses, count);
    return losses;
  }

  /** Returns at least that many numbers, whose content is undefined. */
  long[] longs(int count) {
    longs = GrowingArrays.longs(longs, count);
    return longs;
  }

  /**
   * Returns a row for one worker of the call, of at least that many elements whose content is
   * undefined; to be given back.
   */
  float[] borrowRow(int elements) {
    float[] row = rows.poll();
    return GrowingArrays.floats(row == null ? NO_FLOATS : row, elements);
  }

  void giveBack(float[] row) {
    rows.offer(row);
  }

  /** Returns the memory of a search. */
  SearchBuffers searchBuffers() {
    return searchBuffers;
  }

  /** Returns where schedules of rows are made. */
  RowSchedules schedules(Schedule use) {
    RowSchedules made = schedules.get(use);
    if (made == null) {
      made = new RowSchedules();
      schedules.put(use, made);
    }
    return made;
  }

  /** Returns the schedule of a dense layer for a number of rows. */
  public GemmSchedule dense(int rows) {
    return dense.get(rows);
  }

  /** Returns the schedule of a dense layer's outer products for a number of rows. */
  public OuterSchedule denseOuter(int rows) {
    return denseOuter.get(rows);
  }

  /** Returns the schedule of all classes for each of a number of rows. */
  public GemmSchedule grid(int rows) {
    return grid.get(rows);
  }

  private void free() {
    memory.values().forEach(Storage::close);
    schedules.values().forEach(RowSchedules::close);
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
