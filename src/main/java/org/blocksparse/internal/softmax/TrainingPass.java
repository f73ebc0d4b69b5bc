// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.concurrent.atomic.AtomicBoolean;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.softmax.Workspace.Use;

/**
 * Loss and gradients of one batch, given to a {@link SoftmaxUpdate} on the way: classes first, the
 * class level last.
 *
 * <p>Everything that is done to a class, from logits to the update of its block, is done by one
 * worker in one go, while the block is in its cache: the block is read once from memory and written
 * once.
 */
public final class TrainingPass {
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
  private final Rows slotLogits;
  private final Storage classLosses;
  private final Storage slotLosses;
  private final LevelLoss classLoss;
  private final LevelLoss slotLoss;

  /**
   * A pass.
   *
   * @param prior what smoothing distributes by among the classes: {@link SmoothingPrior}; null
   *     where there is no smoothing
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
    this.classLogits = rows(Use.CLASSES, x.count(), sizes.classes());
    this.slotLogits = rows(Use.SLOTS, batch.logitRowCount(), sizes.slots());
    this.classLosses = workspace.get(Use.CLASS_LOSS, batch.size());
    this.slotLosses = workspace.get(Use.SLOT_LOSS, batch.logitRowCount());
    this.classLoss =
        batch.classLoss(new LevelLoss.Level(null, prior, classLosses, classLogits), workspace);
    this.slotLoss =
        batch.slotLoss(
            new LevelLoss.Level(softmax.valid(), null, slotLosses, slotLogits), workspace);
  }

  /** Room for rows. Logits become the gradients with respect to them in place. */
  private Rows rows(Use use, long count, int size) {
    return new Rows(workspace.get(use, count * size), count, size);
  }

  /**
   * Makes the pass.
   *
   * @return for each row that counts, its negative log likelihood, not weighted; if the update
   *     wants it finite and it is not at the class level, that is all there is
   */
  public double[] run() {
    double[] losses = new double[batch.rows().length];
    if (losses.length == 0) {
      clearRowsThatDoNotCount();
      return losses;
    }
    int[] classes = batch.openedClasses();
    try (ClassLevel level = classLevel();
        GemmSchedule opened =
            GemmSchedule.ofRows(batch.logitRows(), batch.openingRows(), classes, sizes.classes());
        OuterSchedule outer = OuterSchedule.ofRows(opened);
        SlotsToX toX = gradX == null ? null : slotsToX(opened)) {
      if (!classGradients(level, losses)) {
        return losses;
      }
      clearRowsThatDoNotCount();
      if (gradX != null) {
        engine.gemm(level.gemm, classLogits, w1.transpose(), null, false, gradX);
      }
      if (openClasses(opened, outer, toX)) {
        if (toX != null) {
          toX.addUp(engine, gradX);
        }
        giveClassLevel(level);
      }
    }
    batch.addSlotLosses(slotLosses, losses);
    return losses;
  }

  /** Makes the pass as far as the class level goes, which needs nothing of the classes. */
  public double[] runClassLevel() {
    double[] losses = new double[batch.rows().length];
    if (losses.length > 0) {
      try (ClassLevel level = classLevel()) {
        if (classGradients(level, losses)) {
          giveClassLevel(level);
        }
      }
    }
    return losses;
  }

  /** Makes the pass as far as the opened classes go, which need nothing of the class level. */
  public double[] runOpenedClasses() {
    double[] losses = new double[batch.rows().length];
    if (losses.length > 0) {
      try (GemmSchedule opened =
              GemmSchedule.ofRows(
                  batch.logitRows(), batch.openingRows(), batch.openedClasses(), sizes.classes());
          OuterSchedule outer = OuterSchedule.ofRows(opened)) {
        openClasses(opened, outer, null);
      }
      batch.addSlotLosses(slotLosses, losses);
    }
    return losses;
  }

  /** Adds the losses of the class level; false if they are not finite and have to be. */
  private boolean classGradients(ClassLevel level, double[] losses) {
    GemmSchedule gemm = level.gemm;
    engine.gemm(gemm, x, w1, b1, false, classLogits);
    Kernels kernels = engine.kernels();
    engine.exponentials(
        gemm, sizes.classes(), (begin, end) -> classLoss.run(kernels, gemm, begin, end));
    for (int r = 0; r < losses.length; r++) {
      losses[r] += classLosses.getFloat(batch.rows()[r]);
    }
    return !update.finiteOnly() || isFinite(classLosses, gemm, 0, gemm.chunks());
  }

  private void giveClassLevel(ClassLevel level) {
    update.classLevel(new ClassLevelGradient(engine, level.gemm, level.outer, x, classLogits));
  }

  /** Whether every class was given to the update. */
  private boolean openClasses(GemmSchedule opened, OuterSchedule outer, SlotsToX toX) {
    Kernels kernels = engine.kernels();
    Blocks w2Transposed = w2.transposeEach();
    AtomicBoolean nonFinite = new AtomicBoolean();
    int[] chunkStart = chunkStarts(opened, outer.blocks());
    engine.run(
        outer.blocks(),
        3 * Engine.work(opened.pairs(), sizes.features(), sizes.slots()),
        (begin, end) -> {
          for (int block = begin; block < end; block++) {
            int first = chunkStart[block];
            int last = chunkStart[block + 1];
            kernels.blockGemm(opened, first, last, 0, sizes.slots(), x, w2, b2, false, slotLogits);
            slotLoss.run(kernels, opened, first, last);
            if (toX != null) {
              kernels.blockGemm(
                  toX.schedule,
                  first,
                  last,
                  0,
                  sizes.features(),
                  slotLogits,
                  w2Transposed,
                  null,
                  toX.isDirect(),
                  toX.rows);
            }
            if (update.finiteOnly() && !isFinite(slotLosses, opened, first, last)) {
              nonFinite.set(true);
            } else {
              update.openedClass(
                  new OpenedClassGradient(
                      kernels, opened, first, last, outer, block, x, slotLogits));
            }
          }
        });
    return !nonFinite.get();
  }

  /**
   * How opened classes come into the gradient with respect to x. If a row opens several, which
   * different workers have, each class has a row of its own for what it adds: the sum does not
   * depend on who comes first.
   *
   * @param schedule with the chunks of that of the opened classes
   * @param rows where the products go; added to if they are the gradient itself
   * @param sums adds those rows up, or null: they are the gradient itself
   */
  private record SlotsToX(GemmSchedule schedule, Rows rows, GemmSchedule sums)
      implements AutoCloseable {
    boolean isDirect() {
      return sums == null;
    }

    void addUp(Engine engine, Rows gradX) {
      if (!isDirect()) {
        engine.sum(sums, Math.toIntExact(rows.stride()), 1, rows, true, gradX);
      }
    }

    @Override
    public void close() {
      if (!isDirect()) {
        schedule.close();
        sums.close();
      }
    }
  }

  private SlotsToX slotsToX(GemmSchedule opened) {
    if (batch.opensOnce()) {
      return new SlotsToX(opened, gradX, null);
    }
    int[] classes = batch.openedClasses();
    GemmSchedule products = GemmSchedule.ofRows(null, null, classes, sizes.classes());
    try {
      return new SlotsToX(
          products,
          rows(Use.GRAD_ROWS, batch.logitRowCount(), sizes.features()),
          GemmSchedule.ofRows(null, null, batch.openingRows(), batch.size()));
    } catch (Throwable e) {
      products.close();
      throw e;
    }
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

  private ClassLevel classLevel() {
    int[] rows = batch.rows();
    if (rows.length == batch.size()) {
      return new ClassLevel(workspace.dense(rows.length), workspace.denseOuter(rows.length), true);
    }
    // Rows that do not count are left out: what they hold times a gradient of 0 might be NaN.
    GemmSchedule some = GemmSchedule.ofRows(rows, rows, new int[rows.length], 1);
    return new ClassLevel(some, OuterSchedule.ofRows(some), false);
  }

  private void clearRowsThatDoNotCount() {
    if (gradX == null) {
      return;
    }
    int[] rows = batch.rows();
    int next = 0;
    for (int row = 0; row < gradX.count(); row++) {
      if (next < rows.length && rows[next] == row) {
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

  private static int[] chunkStarts(GemmSchedule schedule, int groups) {
    int[] starts = new int[groups + 1];
    int group = 0;
    for (int c = 0; c < schedule.chunks(); c = schedule.sameBlockEnd(c)) {
      starts[group++] = c;
    }
    starts[group] = schedule.chunks();
    return starts;
  }
}
