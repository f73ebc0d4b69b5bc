// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.concurrent.atomic.AtomicBoolean;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.softmax.Workspace.Use;

/**
 * The computations of a two-level softmax on checked operands: a softmax over classes, and one over
 * the slots of each class that is opened.
 *
 * <pre>{@code
 * P(class c, slot s | x) = softmax(x W1 + b1)[c] * softmax(x W2[c] + b2[c])[s]
 * }</pre>
 *
 * <p>Rows that open the same class are multiplied by its block of W2 together ({@link
 * GemmSchedule}). Everything that is done to a class in a step of training, from logits to the
 * update of its block, is done by one worker in one go, while the block is in its cache: the block
 * is read once from memory and written once.
 */
public final class TwoLevelSoftmax {
  /** Rows that are computed over all outputs at a time: enough to use each block of W2 well. */
  private static final int GRID_ROWS = 384;

  /** With fewer rows, a block of W2 would be waited for. */
  private static final int MIN_GRID_ROWS = 16;

  /** Results that are kept on the way, if they are wanted elsewhere in another order. */
  private static final long GRID_ELEMENTS = 1 << 25;

  /** Rows times classes that keep the workers busy where there are few classes. */
  private static final int GRID_ROWS_TIMES_CLASSES = 2048;

  /** W1 (features, classes), b1 (classes), W2 (classes, features, slots), b2 (classes, slots). */
  public record Parameters(Storage w1, Storage b1, Storage w2, Storage b2) {}

  /** The rows that count in training, and the class and the slot of each one's target. */
  public record Targets(int[] rows, int[] classes, int[] slots) {}

  /**
   * Receives gradients: of the class level once, of every opened class from the worker that has it.
   */
  public interface Update {
    /**
     * Whether a class, or the class level, is only given if its loss is finite. Parameters that
     * follow gradients must not: one bad number would spoil all of them.
     */
    boolean finiteOnly();

    /** The gradient with respect to the logits of the classes is in {@code grad}. */
    void classLevel(
        OuterSchedule outer, GemmSchedule dense, Rows x, Rows grad, Workspace workspace);

    /**
     * The gradient with respect to the logits of the slots is in {@code grad}.
     *
     * @param block the position of the class in {@code outer}
     * @param chunkBegin the first of its chunks in {@code schedule}
     * @param chunkEnd the end of them
     */
    void openedClass(
        OuterSchedule outer,
        int block,
        GemmSchedule schedule,
        int chunkBegin,
        int chunkEnd,
        Rows x,
        Rows grad);
  }

  /** For {@link #train} if nothing but the loss is wanted. */
  public static final Update LOSS_ONLY =
      new Update() {
        @Override
        public boolean finiteOnly() {
          return false;
        }

        @Override
        public void classLevel(
            OuterSchedule outer, GemmSchedule dense, Rows x, Rows grad, Workspace workspace) {}

        @Override
        public void openedClass(
            OuterSchedule outer,
            int block,
            GemmSchedule schedule,
            int chunkBegin,
            int chunkEnd,
            Rows x,
            Rows grad) {}
      };

  private final Engine engine;
  private final Parameters parameters;
  private final int features;
  private final int classes;
  private final int slots;
  private final Storage valid;
  private final Blocks w1;
  private final Blocks w2;
  private final Blocks w2Transposed;
  private final Rows b1;
  private final Rows b2;
  private final Workspace.Pool workspaces = new Workspace.Pool(this::grid);

  /**
   * A softmax over the given parameters, which stay the caller's.
   *
   * @param valid (classes) integers: the slots of each class that take part, or null: all of them
   */
  public TwoLevelSoftmax(
      Engine engine, Parameters parameters, int features, int classes, int slots, Storage valid) {
    this.engine = engine;
    this.parameters = parameters;
    this.features = features;
    this.classes = classes;
    this.slots = slots;
    this.valid = valid;
    this.w1 = Blocks.dense(parameters.w1, 1, 1, features, classes);
    this.w2 = Blocks.dense(parameters.w2, 1, classes, features, slots);
    this.w2Transposed = w2.transposeEach();
    this.b1 = new Rows(parameters.b1, 1, classes);
    this.b2 = new Rows(parameters.b2, classes, slots);
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

  /** A workspace for calls of this softmax. */
  public Workspace borrowWorkspace() {
    return workspaces.borrow();
  }

  /** The probabilities or log probabilities of all classes for every row: (batch, classes). */
  public Rows classes(Rows x, boolean logarithm, Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    Rows result = new Rows(workspace.get(Use.CLASSES, x.count() * classes), x.count(), classes);
    GemmSchedule schedule = workspace.dense(batch);
    engine.gemm(schedule, x, w1, b1, false, result);
    engine.softmax(logarithm, schedule, classes, null, null, result);
    return result;
  }

  /**
   * The probabilities or log probabilities of all slots of chosen classes for chosen rows:
   * (requests, slots), where request r is class {@code classOf[r]} for row {@code readRow[r]} of x.
   * Slots that do not take part get 0, or negative infinity.
   *
   * @param readRow null: request r is for row r
   * @param classes what {@link #classes} returned for the same x and logarithm; null: conditional
   *     on the class
   */
  public Rows open(
      Rows x, Rows classes, int[] readRow, int[] classOf, boolean logarithm, Workspace workspace) {
    int requests = classOf.length;
    Rows result = new Rows(workspace.get(Use.SLOTS, (long) requests * slots), requests, slots);
    Storage scale = null;
    if (classes != null) {
      scale = workspace.get(Use.SCALE, requests);
      for (int r = 0; r < requests; r++) {
        scale.putFloat(r, classes.get(readRow == null ? r : readRow[r], classOf[r]));
      }
    }
    try (GemmSchedule schedule = GemmSchedule.ofRows(null, readRow, classOf, this.classes)) {
      gemmAndSoftmax(schedule, x, scale, logarithm, result);
    }
    return result;
  }

  /** Logits and their softmax chunk by chunk, so that the second finds them in the cache. */
  private void gemmAndSoftmax(
      GemmSchedule schedule, Rows x, Storage scale, boolean logarithm, Rows result) {
    Kernels kernels = engine.kernels();
    engine.run(
        schedule.chunks(),
        Engine.work(schedule.pairs(), features, slots),
        (begin, end) -> {
          for (int c = begin; c < end; c++) {
            kernels.blockGemm(schedule, c, c + 1, 0, slots, x, w2, b2, false, result);
            kernels.blockSoftmax(logarithm, schedule, c, c + 1, slots, valid, scale, result);
          }
        });
  }

  /** Receives (rows, classes * slots) results for rows [begin, begin + rows). */
  public interface GridConsumer {
    void accept(int begin, Rows results);
  }

  /**
   * The probabilities or log probabilities of all slots of all classes, some rows at a time.
   *
   * @param direct (batch, classes * slots) where the results are wanted, or null
   * @param consumer receives results that lie elsewhere, if {@code direct} is null
   */
  public void grid(
      Rows x, boolean logarithm, Rows direct, GridConsumer consumer, Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    long outputs = (long) this.classes * slots;
    int step = Math.max(GRID_ROWS, GRID_ROWS_TIMES_CLASSES / classes);
    if (direct == null) {
      step = (int) Math.max(MIN_GRID_ROWS, Math.min(step, GRID_ELEMENTS / outputs));
    }
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
      gemmAndSoftmax(workspace.grid(rows), slice, classes.storage(), logarithm, results);
      if (direct == null) {
        consumer.accept(begin, new Rows(results.storage(), rows, outputs));
      }
    }
  }

  /**
   * Loss and gradients, given to {@code update} on the way: classes first, the class level last.
   *
   * @param targets which rows count, and their classes and slots
   * @param weights (batch) the weight of each row in the loss
   * @param smoothing the share of the loss that is on all classes and slots instead of the target
   * @param prior (classes) what smoothing distributes by among the classes
   * @param gradX (batch, features) receives the gradient with respect to x, or null
   * @return for each row that counts, its negative log likelihood, not weighted; if {@code update}
   *     wants it finite and it is not at the class level, that is all there is
   */
  public double[] train(
      Rows x,
      Targets targets,
      float[] weights,
      float smoothing,
      Storage prior,
      Rows gradX,
      Update update,
      Workspace workspace) {
    if (targets.rows.length == 0) {
      if (gradX != null) {
        clearOthers(gradX, targets.rows);
      }
      return new double[0];
    }
    Kernels kernels = engine.kernels();
    int batch = Math.toIntExact(x.count());
    Rows classGrad = new Rows(workspace.get(Use.CLASSES, x.count() * classes), x.count(), classes);
    Rows slotGrad = new Rows(workspace.get(Use.SLOTS, x.count() * slots), x.count(), slots);
    Storage classLoss = workspace.get(Use.CLASS_LOSS, batch);
    Storage slotLoss = workspace.get(Use.SLOT_LOSS, batch);
    Storage rowWeights = workspace.get(Use.WEIGHTS, batch);
    rowWeights.putFloats(0, weights, 0, batch);
    Storage classTargets = targets(workspace, Use.CLASS_TARGETS, batch, targets, targets.classes);
    Storage slotTargets = targets(workspace, Use.SLOT_TARGETS, batch, targets, targets.slots);

    double[] losses = new double[targets.rows.length];
    try (ClassLevel level = classLevel(targets.rows, batch, workspace);
        GemmSchedule opened =
            GemmSchedule.ofRows(targets.rows, targets.rows, targets.classes, classes);
        OuterSchedule outer = OuterSchedule.ofRows(opened)) {
      engine.gemm(level.gemm, x, w1, b1, false, classGrad);
      engine.crossEntropy(
          level.gemm, classes, classTargets, rowWeights, smoothing, prior, classLoss, classGrad);
      for (int r = 0; r < losses.length; r++) {
        losses[r] = classLoss.getFloat(targets.rows[r]);
      }
      if (update.finiteOnly() && !isFinite(classLoss, level.gemm, 0, level.gemm.chunks())) {
        return losses;
      }
      if (gradX != null) {
        clearOthers(gradX, targets.rows);
        engine.gemm(level.gemm, classGrad, w1.transpose(), null, false, gradX);
      }
      AtomicBoolean spoilt = new AtomicBoolean();
      int[] chunkStart = chunkStarts(opened, outer.blocks());
      engine.run(
          outer.blocks(),
          3 * Engine.work(opened.pairs(), features, slots),
          (begin, end) -> {
            for (int block = begin; block < end; block++) {
              int first = chunkStart[block];
              int last = chunkStart[block + 1];
              kernels.blockGemm(opened, first, last, 0, slots, x, w2, b2, false, slotGrad);
              kernels.blockCrossEntropy(
                  opened,
                  first,
                  last,
                  slots,
                  valid,
                  slotTargets,
                  rowWeights,
                  smoothing,
                  null,
                  slotLoss,
                  slotGrad);
              if (gradX != null) {
                kernels.blockGemm(
                    opened, first, last, 0, features, slotGrad, w2Transposed, null, true, gradX);
              }
              if (update.finiteOnly() && !isFinite(slotLoss, opened, first, last)) {
                spoilt.set(true);
              } else {
                update.openedClass(outer, block, opened, first, last, x, slotGrad);
              }
            }
          });
      if (!spoilt.get()) {
        update.classLevel(level.outer, level.gemm, x, classGrad, workspace);
      }
    }
    for (int r = 0; r < losses.length; r++) {
      losses[r] += slotLoss.getFloat(targets.rows[r]);
    }
    return losses;
  }

  /** How the rows that count go through the class level, as through a dense layer. */
  private record ClassLevel(GemmSchedule gemm, OuterSchedule outer, boolean cached)
      implements AutoCloseable {
    @Override
    public void close() {
      if (!cached) {
        gemm.close();
        outer.close();
      }
    }
  }

  private static ClassLevel classLevel(int[] rows, int batch, Workspace workspace) {
    if (rows.length == batch) {
      return new ClassLevel(workspace.dense(batch), workspace.denseOuter(batch), true);
    }
    // Rows that do not count are left out: what they hold times a gradient of 0 might be NaN.
    GemmSchedule some = GemmSchedule.ofRows(rows, rows, new int[rows.length], 1);
    return new ClassLevel(some, OuterSchedule.ofRows(some), false);
  }

  /** Clears all rows but the given ones, which are in order. */
  private static void clearOthers(Rows grad, int[] rows) {
    int next = 0;
    for (int row = 0; row < grad.count(); row++) {
      if (next < rows.length && rows[next] == row) {
        next++;
      } else {
        grad.storage().fill(grad.offset() + row * grad.stride(), grad.stride(), 0);
      }
    }
  }

  private static boolean isFinite(Storage losses, GemmSchedule schedule, int begin, int end) {
    for (int r = schedule.rowStart(begin); r < schedule.rowStart(end); r++) {
      if (!Float.isFinite(losses.getFloat(schedule.row(r)))) {
        return false;
      }
    }
    return true;
  }

  /**
   * The targets of all rows; those that do not count get target 0, which their weight makes
   * harmless.
   */
  private static Storage targets(
      Workspace workspace, Use use, int batch, Targets targets, int[] values) {
    int[] all = new int[batch];
    for (int r = 0; r < values.length; r++) {
      all[targets.rows[r]] = values[r];
    }
    Storage storage = workspace.get(use, batch);
    storage.putInts(0, all, 0, batch);
    return storage;
  }

  private static int[] chunkStarts(GemmSchedule schedule, int groups) {
    int[] starts = new int[groups + 1];
    int group = 0;
    for (int c = 0; c < schedule.chunks(); c = schedule.sameBlockEnd(c)) {
      starts[group++] = c;
    }
    starts[group] = schedule.chunks();
    return starts;
  }

  /** Gradients as they are, into memory that is zero before. */
  public Update gradients(Parameters into) {
    return scaled(
        1,
        false,
        Blocks.dense(into.w1, 1, 1, features, classes),
        new Rows(into.b1, 1, classes),
        Blocks.dense(into.w2, 1, classes, features, slots),
        new Rows(into.b2, classes, slots));
  }

  /** Gradient descent in place: what is added to a block is never stored anywhere else. */
  public Update descend(float rate) {
    return scaled(-rate, true, w1, b1, w2, b2);
  }

  /**
   * Gradients times a factor.
   *
   * @param inPlace whether they are added to parameters, or written to memory that is zero before
   */
  private Update scaled(
      float factor, boolean inPlace, Blocks toW1, Rows toB1, Blocks toW2, Rows toB2) {
    Kernels kernels = engine.kernels();
    return new Update() {
      @Override
      public boolean finiteOnly() {
        return inPlace;
      }

      @Override
      public void classLevel(
          OuterSchedule outer, GemmSchedule dense, Rows x, Rows grad, Workspace workspace) {
        engine.outer(outer, factor, x, grad, inPlace, toW1);
        engine.sum(dense, classes, factor, grad, toB1);
      }

      @Override
      public void openedClass(
          OuterSchedule outer,
          int block,
          GemmSchedule schedule,
          int chunkBegin,
          int chunkEnd,
          Rows x,
          Rows grad) {
        kernels.blockOuter(outer, block, block + 1, 0, features, factor, x, grad, inPlace, toW2);
        kernels.blockSum(schedule, chunkBegin, chunkEnd, slots, factor, grad, toB2);
      }
    };
  }

  /** One step of a rule on consecutive elements: of a parameter, given a gradient from 0 on. */
  public interface Rule {
    /**
     * Updates elements [offset, offset + count) of a parameter.
     *
     * @param parameter 0 to 3: W1, b1, W2, b2
     * @param classNumber the class whose block this is, or -1 for the class level
     */
    void update(int parameter, int classNumber, long offset, long count, Storage gradient);
  }

  /**
   * Any rule that looks at each element's gradient: a block's gradient is made, used and forgotten.
   */
  public Update apply(Rule rule) {
    Kernels kernels = engine.kernels();
    long blockSize = (long) features * slots;
    return new Update() {
      @Override
      public boolean finiteOnly() {
        return true;
      }

      @Override
      public void classLevel(
          OuterSchedule outer, GemmSchedule dense, Rows x, Rows grad, Workspace workspace) {
        Storage gradW1 = workspace.get(Use.GRAD_W1, (long) features * classes);
        Storage gradB1 = workspace.get(Use.GRAD_B1, classes);
        engine.outer(outer, 1, x, grad, false, Blocks.dense(gradW1, 1, 1, features, classes));
        gradB1.fill(0, classes, 0);
        engine.sum(dense, classes, 1, grad, new Rows(gradB1, 1, classes));
        rule.update(0, -1, 0, (long) features * classes, gradW1);
        rule.update(1, -1, 0, classes, gradB1);
      }

      @Override
      public void openedClass(
          OuterSchedule outer,
          int block,
          GemmSchedule schedule,
          int chunkBegin,
          int chunkEnd,
          Rows x,
          Rows grad) {
        int classNumber = outer.yBlock(block);
        try (Scratch gradient = Scratch.borrow(Math.max(blockSize, slots))) {
          Blocks gradW2 = Blocks.shared(gradient.storage(), 1, classes, features, slots);
          kernels.blockOuter(outer, block, block + 1, 0, features, 1, x, grad, false, gradW2);
          rule.update(2, classNumber, classNumber * blockSize, blockSize, gradient.storage());
          gradient.storage().fill(0, slots, 0);
          kernels.blockSum(
              schedule,
              chunkBegin,
              chunkEnd,
              slots,
              1,
              grad,
              new Rows(gradient.storage(), 0, classes, 0));
          rule.update(3, classNumber, (long) classNumber * slots, slots, gradient.storage());
        }
      }
    };
  }

  /** The kernels that this softmax computes with. */
  public Kernels kernels() {
    return engine.kernels();
  }

  /** The parameters that this softmax computes with. */
  public Parameters parameters() {
    return parameters;
  }
}
