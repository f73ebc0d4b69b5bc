// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntPredicate;
import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.CrossEntropy;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.kernels.Targets;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.softmax.Workspace.Ints;
import org.blocksparse.softmax.Workspace.Schedule;
import org.blocksparse.softmax.Workspace.Use;

/**
 * Computes the loss and the gradients of one batch, and passes these to a {@link SoftmaxUpdate}:
 * classes first, the class level last.
 *
 * <p>Everything that is done to a class, from logits to the update of its block, is done by one
 * worker in one go, while the block is in its cache: the block is read once from memory and written
 * once.
 */
final class TrainingPass {
  private final TwoLevelSoftmax softmax;
  private final Engine engine;
  private final SoftmaxSizes sizes;
  private final Rows x;
  private final TrainingBatch batch;
  private final Rows gradX;
  private final SoftmaxUpdate update;
  private final Workspace workspace;
  private final Blocks w1;
  private final Rows b1;
  private final Blocks w2;
  private final Rows b2;
  private final Rows classLogits;
  private final Storage classLosses;
  private final Targets classTargets;

  /** All opened classes, or the classes of the first round. */
  private final OpenedClasses first;

  /** The end of the classes of {@link #first}. */
  private final int firstEnd;

  /** The maximum number of opened classes at a time, which limits the memory of logits. */
  private final long mostOpened;

  /**
   * Creates a pass.
   *
   * @param prior the {@link SmoothingPrior} over the classes; null if there is no smoothing
   * @param gradX (batch, features) receives the gradient with respect to x, or null
   */
  public TrainingPass(
      TwoLevelSoftmax softmax,
      Storage prior,
      Rows x,
      TrainingBatch batch,
      Rows gradX,
      SoftmaxUpdate update,
      Workspace workspace) {
    this.softmax = softmax;
    this.engine = softmax.engine();
    this.sizes = softmax.sizes();
    this.x = x;
    this.batch = batch;
    this.gradX = gradX;
    this.update = update;
    this.workspace = workspace;
    SoftmaxStorage parameters = softmax.parameters();
    this.w1 = parameters.w1(sizes);
    this.b1 = sizes.b1(parameters.b1());
    this.w2 = parameters.w2(sizes);
    this.b2 = sizes.b2(parameters.b2());
    this.classLogits = room(Use.CLASSES, x.count(), sizes.classes());
    this.classLosses = workspace.get(Use.CLASS_LOSS, batch.size());
    this.classTargets = batch.classTargets(prior, workspace);
    int rowSize = Math.max(sizes.slots(), gradX == null ? 0 : sizes.features());
    this.mostOpened = softmax.maxRound() / rowSize;
    this.firstEnd = batch.endOfClasses(0, sizes.classes(), mostOpened, workspace);
    if (firstEnd < sizes.classes()) {
      workspace.get(Use.SLOTS, mostOpened * sizes.slots()); // before anything is updated
    }
    this.first = new OpenedClasses(0, firstEnd);
  }

  /** Returns memory for rows. Logits become the gradients with respect to them in place. */
  private Rows room(Use use, long count, int size) {
    return new Rows(workspace.get(use, count * size), count, size);
  }

  /**
   * Makes the pass.
   *
   * @return for each row that counts, its negative log likelihood, not weighted, in an array of the
   *     workspace; only that of the class level if this is not finite and the update wants it
   *     finite
   */
  public double[] run() {
    double[] losses = workspace.losses(batch.rowCount());
    if (batch.rowCount() == 0) {
      clearRowsThatDoNotCount();
      return losses;
    }
    Arrays.fill(losses, 0, batch.rowCount(), 0);
    first.begin(gradX);
    GemmSchedule level = classLevel();
    if (!classGradients(level, losses)) {
      return losses;
    }
    clearRowsThatDoNotCount();
    if (gradX != null) {
      engine.gemm(level, classLogits, w1.transpose(), Sums.of(gradX));
    }
    boolean all = first.run(losses);
    for (int begin = firstEnd; begin < sizes.classes(); ) {
      int end = batch.endOfClasses(begin, sizes.classes(), mostOpened, workspace);
      OpenedClasses next = new OpenedClasses(begin, end);
      next.begin(gradX);
      all &= next.run(losses);
      begin = end;
    }
    if (all) {
      giveClassLevel(level);
    }
    return losses;
  }

  /** Runs the class level of the pass, which does not depend on the classes. */
  public double[] runClassLevel() {
    double[] losses = workspace.losses(batch.rowCount());
    Arrays.fill(losses, 0, batch.rowCount(), 0);
    if (batch.rowCount() > 0) {
      GemmSchedule level = classLevel();
      if (classGradients(level, losses)) {
        giveClassLevel(level);
      }
    }
    return losses;
  }

  /** Runs the opened classes of the pass, which do not depend on the class level. */
  public double[] runOpenedClasses() {
    double[] losses = workspace.losses(batch.rowCount());
    Arrays.fill(losses, 0, batch.rowCount(), 0);
    if (!rowsAreFinite(losses, row -> true) && update.finiteOnly()) {
      return losses;
    }
    if (batch.openedCount() == 0) {
      update.noRows();
    } else {
      first.begin(null);
      first.run(losses);
    }
    return losses;
  }

  /** Adds the losses of the class level; false if they are not finite and have to be. */
  private boolean classGradients(GemmSchedule gemm, double[] losses) {
    engine.gemm(gemm, x, w1, Sums.from(b1, classLogits));
    // If an element of x is not finite, neither is any logit of its row, so the first one shows it.
    boolean finite = rowsAreFinite(losses, row -> !Float.isFinite(classLogits.get(row, 0)));
    Kernels kernels = engine.kernels();
    CrossEntropy loss =
        new CrossEntropy(gemm, sizes.classes(), null, classTargets, classLosses, classLogits);
    engine.exponentials(
        gemm, sizes.classes(), (begin, end) -> kernels.rows().crossEntropy(loss, begin, end));
    for (int r = 0; r < batch.rowCount(); r++) {
      losses[r] += classLosses.getFloat(batch.rows()[r]);
    }
    return !update.finiteOnly() || (finite && isFinite(classLosses, gemm, 0, gemm.chunks()));
  }

  /**
   * Returns whether x is finite in all rows that count. The loss of a row becomes NaN where it is
   * not: by its formula that of a label tree may be 0 there, when the gradients are NaN.
   *
   * @param suspect which rows are looked at
   */
  private boolean rowsAreFinite(double[] losses, IntPredicate suspect) {
    boolean finite = true;
    for (int r = 0; r < batch.rowCount(); r++) {
      int row = batch.rows()[r];
      if (suspect.test(row) && !isFinite(x, row)) {
        losses[r] = Double.NaN;
        finite = false;
      }
    }
    return finite;
  }

  private boolean isFinite(Rows rows, int row) {
    for (int i = 0; i < sizes.features(); i++) {
      if (!Float.isFinite(rows.get(row, i))) {
        return false;
      }
    }
    return true;
  }

  private void giveClassLevel(GemmSchedule level) {
    update.classLevel(
        new ClassLevelGradient(engine, level, classLevelOuter(level), x, classLogits));
  }

  /**
   * The work of rows in some of the classes that they open. Each reuses the memory of the one
   * before: there is one at a time.
   */
  private final class OpenedClasses {
    private final TrainingBatch rows;
    private final Rows logits;
    private final Storage slotLosses;
    private final Targets targets;
    private GemmSchedule opened;
    private OuterSchedule outer;

    /** The way into the gradient with respect to x, or null. */
    private SlotsToX toX;

    /** Creates the work of the opened classes among [begin, end). */
    OpenedClasses(int begin, int end) {
      boolean all = begin == 0 && end == sizes.classes();
      this.rows = all ? batch : batch.ofClasses(begin, end, workspace);
      this.logits = room(Use.SLOTS, rows.logitRowCount(), sizes.slots());
      this.slotLosses = workspace.get(Use.SLOT_LOSS, rows.logitRowCount());
      this.targets = rows.slotTargets(workspace);
    }

    /** Makes the schedules. */
    void begin(Rows gradX) {
      this.opened = schedule(Schedule.OPENED, rows.logitRows(), rows.openingRows());
      this.outer = workspace.schedules(Schedule.OPENED).outer(opened);
      this.toX = gradX == null ? null : toX(gradX);
    }

    private GemmSchedule schedule(Schedule use, int[] writeRows, int[] readRows) {
      return workspace
          .schedules(use)
          .gemm(rows.openedCount(), writeRows, readRows, rows.openedClasses(), sizes.classes());
    }

    private SlotsToX toX(Rows gradX) {
      if (rows.opensOnce()) {
        return new SlotsToX(opened, gradX, null);
      }
      return new SlotsToX(
          schedule(Schedule.OPENED_TO_X, null, null),
          room(Use.GRAD_ROWS, rows.logitRowCount(), sizes.features()),
          workspace
              .schedules(Schedule.SUMS)
              .gemm(rows.openedCount(), null, null, rows.openingRows(), rows.size()));
    }

    /** Adds the losses to those of the rows; whether every class was given to the update. */
    boolean run(double[] losses) {
      Kernels kernels = engine.kernels();
      BlockProduct ofLogits = new BlockProduct(opened, x, w2, Sums.from(b2, logits));
      BlockProduct ofX = toX == null ? null : toX.product(logits, w2.transposeEach());
      CrossEntropy loss =
          new CrossEntropy(opened, sizes.slots(), softmax.valid(), targets, slotLosses, logits);
      AtomicBoolean nonFinite = new AtomicBoolean();
      int[] chunkStarts = chunkStarts(opened, outer.blocks());
      OpenedClassGradient gradients =
          new OpenedClassGradient(kernels, opened, chunkStarts, outer, x, logits, ofX);
      engine.run(
          outer.blocks(),
          3 * Scheduler.work(opened.pairs(), sizes.features(), sizes.slots()),
          () -> update.begin(gradients),
          (worker, begin, end) -> {
            for (int block = begin; block < end; block++) {
              int first = chunkStarts[block];
              int last = chunkStarts[block + 1];
              kernels.products().blockGemm(ofLogits, first, last, 0, sizes.slots());
              kernels.rows().crossEntropy(loss, first, last);
              if (update.finiteOnly() && !isFinite(slotLosses, opened, first, last)) {
                nonFinite.set(true);
                gradients.writeX(block);
              } else {
                worker.take(block);
              }
            }
          });
      boolean all = !nonFinite.get();
      if (all && toX != null) {
        toX.addUp(engine, gradX);
      }
      rows.addSlotLosses(slotLosses, losses);
      return all;
    }
  }

  /**
   * The products of opened classes for the gradient with respect to x. If a row opens several
   * classes, which different workers may have, each class has its own row of summands: the sum does
   * not depend on the order of the workers.
   *
   * @param schedule the schedule, with the chunks of that of the opened classes
   * @param rows the rows that receive the products; added to if they are the gradient itself
   * @param sums adds those rows up, or null: they are the gradient itself
   */
  private record SlotsToX(GemmSchedule schedule, Rows rows, GemmSchedule sums) {
    boolean isDirect() {
      return sums == null;
    }

    BlockProduct product(Rows logits, Blocks w2Transposed) {
      return new BlockProduct(schedule, logits, w2Transposed, Sums.of(rows, isDirect()));
    }

    void addUp(Engine engine, Rows gradX) {
      if (!isDirect()) {
        engine.sum(sums, Math.toIntExact(rows.stride()), 1, rows, true, gradX);
      }
    }
  }

  /** Returns the schedule of the rows that count at the class level, which is a dense layer. */
  private GemmSchedule classLevel() {
    int count = batch.rowCount();
    if (allCount()) {
      return workspace.dense(count);
    }
    // Rows that do not count are left out: their elements times a gradient of 0 might be NaN.
    int[] rows = batch.rows();
    return workspace
        .schedules(Schedule.CLASS_LEVEL)
        .gemm(count, rows, rows, workspace.zeros(count), 1);
  }

  private OuterSchedule classLevelOuter(GemmSchedule level) {
    return allCount()
        ? workspace.denseOuter(batch.size())
        : workspace.schedules(Schedule.CLASS_LEVEL).outer(level);
  }

  private boolean allCount() {
    return batch.rowCount() == batch.size();
  }

  private void clearRowsThatDoNotCount() {
    if (gradX == null) {
      return;
    }
    int[] rows = batch.rows();
    int next = 0;
    for (int row = 0; row < gradX.count(); row++) {
      if (next < batch.rowCount() && rows[next] == row) {
        next++;
      } else {
        gradX.storage().fill(gradX.offset() + row * gradX.stride(), gradX.stride(), 0);
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

  private int[] chunkStarts(GemmSchedule schedule, int groups) {
    int[] starts = workspace.ints(Ints.CHUNK_STARTS, groups + 1);
    int group = 0;
    for (int c = 0; c < schedule.chunks(); c = schedule.sameBlockEnd(c)) {
      starts[group++] = c;
    }
    starts[group] = schedule.chunks();
    return starts;
  }
}
