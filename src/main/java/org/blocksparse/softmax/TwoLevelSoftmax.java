// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.kernels.Probabilities;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.softmax.Workspace.Use;

/**
 * The computations of a two-level softmax on checked operands: a softmax over classes, and one over
 * the slots of each class that is opened.
 *
 * <pre>{@code
 * P(class c, slot s | x) = softmax(x W1 + b1)[c] * softmax(x W2[c] + b2[c])[s]
 * }</pre>
 *
 * <p>With another {@link Link} they are those of a label tree, which has the logistic function in
 * both places.
 *
 * <p>Rows that open the same class are multiplied by its block of W2 together ( {@link
 * GemmSchedule}). Training is a {@link TrainingPass}.
 */
final class TwoLevelSoftmax {
  /** The rows that are computed over all outputs at a time: enough to use each block of W2 well. */
  private static final int GRID_ROWS = 384;

  /** The minimum number of rows for which the processor need not wait for a block of W2. */
  private static final int MIN_GRID_ROWS = 16;

  /** The maximum number of results in memory at a time, if they are wanted in another order. */
  private static final long GRID_ELEMENTS = 1 << 25;

  /**
   * The maximum number of rows times classes of a schedule, which takes 60 bytes of heap for each.
   */
  private static final int GRID_PAIRS = 1 << 22;

  /** The rows times classes that keep the workers busy where there are few classes. */
  private static final int GRID_ROWS_TIMES_CLASSES = 2048;

  /** The maximum number of rows times classes at a time: a search has eight bytes for each. */
  private static final int MAX_ROWS_TIMES_CLASSES = 1 << 22;

  /** The least {@link #maxRound}, where weights are few: 64 MB. */
  private static final long LEAST_MAX_ROUND = 1 << 24;

  private final Engine engine;
  private final Link link;
  private final SoftmaxStorage parameters;
  private final SoftmaxSizes sizes;
  private final int classes;
  private final int slots;
  private final Storage valid;
  private final Blocks w1;
  private final Blocks w2;
  private final Rows b1;
  private final Rows b2;
  private final Workspace.Pool workspaces = new Workspace.Pool(this::grid);

  /**
   * Creates a softmax, or a label tree, over the given parameters, which stay the caller's.
   *
   * @param valid (classes) integers: the slots of each class that take part, or null: all of them
   */
  public TwoLevelSoftmax(
      Engine engine, Link link, SoftmaxStorage parameters, SoftmaxSizes sizes, Storage valid) {
    this.engine = engine;
    this.link = link;
    this.parameters = parameters;
    this.sizes = sizes;
    this.classes = sizes.classes();
    this.slots = sizes.slots();
    this.valid = valid;
    this.w1 = parameters.w1(sizes);
    this.b1 = sizes.b1(parameters.b1());
    this.w2 = parameters.w2(sizes);
    this.b2 = sizes.b2(parameters.b2());
  }

  private GemmSchedule grid(int rows) {
    int[] classOf = new int[Math.multiplyExact(rows, classes)];
    for (int i = 0; i < classOf.length; i++) {
      classOf[i] = i % classes;
    }
    return GemmSchedule.of(rows, classOf, classes, new int[rows], 1);
  }

  /** Frees the intermediate results and schedules that are kept for later calls. */
  public void close() {
    workspaces.close();
  }

  /** Returns a workspace for calls of this softmax. */
  public Workspace borrowWorkspace() {
    return workspaces.borrow();
  }

  /**
   * Returns the probabilities or log probabilities of all classes for every row: (batch, classes).
   */
  public Rows classes(Rows x, boolean logarithm, Workspace workspace) {
    Rows result = classLogits(x, Use.CLASSES, workspace);
    link(workspace.dense(Math.toIntExact(x.count())), logarithm, null, null, result);
    return result;
  }

  /** The log probabilities of logits, with these. */
  record WithLogits(Rows logProbabilities, Rows logits) {}

  /**
   * Returns the log probabilities of all classes for every row, with their logits: (batch,
   * classes).
   */
  WithLogits classesWithLogits(Rows x, Workspace workspace) {
    Rows logits = classLogits(x, Use.CLASS_LOGITS, workspace);
    Rows result = new Rows(workspace.get(Use.CLASSES, x.count() * classes), x.count(), classes);
    copy(logits, result, workspace);
    link(workspace.dense(Math.toIntExact(x.count())), true, null, null, result);
    return new WithLogits(result, logits);
  }

  private Rows classLogits(Rows x, Use use, Workspace workspace) {
    Rows result = new Rows(workspace.get(use, x.count() * classes), x.count(), classes);
    engine.gemm(workspace.dense(Math.toIntExact(x.count())), x, w1, Sums.from(b1, result));
    return result;
  }

  private void link(
      GemmSchedule schedule, boolean logarithm, Storage valid, Storage scale, Rows result) {
    Kernels kernels = engine.kernels();
    int n = Math.toIntExact(result.stride());
    Probabilities all = new Probabilities(link, logarithm, schedule, n, valid, scale, result);
    engine.exponentials(schedule, n, (begin, end) -> kernels.rows().probabilities(all, begin, end));
  }

  private void copy(Rows from, Rows to, Workspace workspace) {
    int size = Math.toIntExact(from.stride());
    engine.run(
        Math.toIntExact(from.count()),
        from.count() * size,
        (first, last) -> {
          float[] row = workspace.borrowRow(size);
          for (int r = first; r < last; r++) {
            from.get(r, 0, row, size);
            to.storage().putFloats(to.offset() + (long) r * size, row, 0, size);
          }
          workspace.giveBack(row);
        });
  }

  /**
   * Returns how many elements those who open many classes should {@linkplain #open} at a time,
   * which bounds their memory: 64 MB, or for large layers a quarter of their weights, as each time
   * all of them may be read. Only the slots of one class are allowed to be more.
   */
  long maxRound() {
    return maxRound(parameters.w2().elements());
  }

  /**
   * Returns the rows that are searched, drawn or placed at a time, so that all classes and one
   * opened class of each take memory that does not grow with the batch: 16 MB, and {@link
   * #maxRound}.
   */
  public int rowsAtOnce() {
    return rowsAtOnce(maxRound());
  }

  /** Returns the rows at once if opened classes may take {@code room} elements. */
  int rowsAtOnce(long room) {
    return (int) Math.max(1, Math.min(MAX_ROWS_TIMES_CLASSES / classes, room / slots));
  }

  /** Returns the limit of a round for a number of weights. */
  static long maxRound(long weights) {
    return Math.max(LEAST_MAX_ROUND, weights / 4);
  }

  /**
   * Returns the probabilities or log probabilities of all slots of chosen classes for chosen rows:
   * (requests, slots), where request r is class {@code classOf[r]} for row {@code readRow[r]} of x.
   * Slots that do not take part get 0, or negative infinity.
   *
   * @param readRow null: request r is for row r
   * @param classes the result of {@link #classes} for the same x and logarithm; null: conditional
   *     on the class
   * @param requests how many there are; arrays may be longer
   */
  public Rows open(
      Rows x,
      Rows classes,
      int requests,
      int[] readRow,
      int[] classOf,
      boolean logarithm,
      Workspace workspace) {
    Rows result = new Rows(workspace.get(Use.SLOTS, (long) requests * slots), requests, slots);
    Storage scale = scale(classes, requests, readRow, classOf, workspace);
    gemmAndLink(opened(requests, readRow, classOf, workspace), x, scale, logarithm, result);
    return result;
  }

  /**
   * Returns the log probabilities of the slots of chosen classes, with their logits; see {@link
   * #open}.
   */
  WithLogits openWithLogits(
      Rows x, Rows classes, int requests, int[] readRow, int[] classOf, Workspace workspace) {
    GemmSchedule schedule = opened(requests, readRow, classOf, workspace);
    Rows both = new Rows(workspace.get(Use.SLOTS, 2L * requests * slots), 2L * requests, slots);
    Rows logits = both.slice(0, requests);
    Rows result = both.slice(requests, requests);
    engine.gemm(schedule, x, w2, Sums.from(b2, logits));
    copy(logits, result, workspace);
    link(schedule, true, valid, scale(classes, requests, readRow, classOf, workspace), result);
    return new WithLogits(result, logits);
  }

  /** Returns the logits of the slots of chosen classes; see {@link #open}. */
  Rows openLogits(Rows x, int requests, int[] readRow, int[] classOf, Workspace workspace) {
    Rows result = new Rows(workspace.get(Use.SLOTS, (long) requests * slots), requests, slots);
    engine.gemm(opened(requests, readRow, classOf, workspace), x, w2, Sums.from(b2, result));
    return result;
  }

  private GemmSchedule opened(int requests, int[] readRow, int[] classOf, Workspace workspace) {
    return workspace
        .schedules(Workspace.Schedule.OPENED)
        .gemm(requests, null, readRow, classOf, this.classes);
  }

  /**
   * Returns the factor of the probabilities of opened classes, or the summand of their logarithms.
   */
  private Storage scale(
      Rows classes, int requests, int[] readRow, int[] classOf, Workspace workspace) {
    if (classes == null) {
      return null;
    }
    Storage scale = workspace.get(Use.SCALE, requests);
    for (int r = 0; r < requests; r++) {
      scale.putFloat(r, classes.get(readRow == null ? r : readRow[r], classOf[r]));
    }
    return scale;
  }

  /** Computes logits and their probabilities chunk by chunk, while the logits are in the cache. */
  private void gemmAndLink(
      GemmSchedule schedule, Rows x, Storage scale, boolean logarithm, Rows result) {
    Kernels kernels = engine.kernels();
    BlockProduct product = new BlockProduct(schedule, x, w2, Sums.from(b2, result));
    Probabilities all = new Probabilities(link, logarithm, schedule, slots, valid, scale, result);
    engine.run(
        schedule.chunks(),
        Scheduler.work(schedule.pairs(), sizes.features(), slots),
        (begin, end) -> {
          for (int c = begin; c < end; c++) {
            kernels.products().blockGemm(product, c, c + 1, 0, slots);
            kernels.rows().probabilities(all, c, c + 1);
          }
        });
  }

  /** Receives (rows, classes * slots) results for rows [begin, begin + rows). */
  public interface GridConsumer {
    void accept(int begin, Rows results);
  }

  /** Returns the number of rows that are computed at a time. */
  static int gridRows(int classes, int slots, boolean direct) {
    long rows = Math.max(GRID_ROWS, GRID_ROWS_TIMES_CLASSES / classes);
    if (!direct) {
      rows = Math.max(MIN_GRID_ROWS, Math.min(rows, GRID_ELEMENTS / ((long) classes * slots)));
    }
    return (int) Math.max(1, Math.min(rows, GRID_PAIRS / classes));
  }

  /**
   * Computes the probabilities or log probabilities of all slots of all classes, some rows at a
   * time.
   *
   * @param direct (batch, classes * slots) receives the results, or null
   * @param consumer receives the results if {@code direct} is null
   */
  public void grid(
      Rows x, boolean logarithm, Rows direct, GridConsumer consumer, Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    long outputs = (long) this.classes * slots;
    int step = gridRows(this.classes, slots, direct != null);
    for (int begin = 0; begin < batch; begin += step) {
      int rows = Math.min(step, batch - begin);
      Rows slice = x.slice(begin, rows);
      Rows classes = classes(slice, logarithm, workspace);
      Rows results =
          direct == null
              ? new Rows(
                  workspace.get(Use.SLOTS, rows * outputs), rows * (long) this.classes, slots)
              : new Rows(
                  direct.storage(),
                  direct.offset() + begin * outputs,
                  rows * (long) this.classes,
                  slots);
      // Row (b, c) of the results has number b * classes + c, and so has its class probability.
      gemmAndLink(workspace.grid(rows), slice, classes.storage(), logarithm, results);
      if (direct == null) {
        consumer.accept(begin, new Rows(results.storage(), rows, outputs));
      }
    }
  }

  /** Returns the function from logits to probabilities. */
  public Link link() {
    return link;
  }

  /** Returns the engine of this softmax. */
  public Engine engine() {
    return engine;
  }

  /** Returns the parameters that this softmax computes with. */
  public SoftmaxStorage parameters() {
    return parameters;
  }

  /** Returns the sizes of the parameters. */
  public SoftmaxSizes sizes() {
    return sizes;
  }

  /** Returns (classes) integers: the slots of each class that take part; null if all do. */
  Storage valid() {
    return valid;
  }
}
