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
  private final Storage valid;
  private final Storage prior;
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
  private final Storage classLoss;
  private final Storage slotLoss;
  private final Storage weights;

  /**
   * A pass.
   *
   * @param prior what smoothing distributes by among the classes: {@link SmoothingPrior}
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
    this.valid = softmax.valid();
    this.prior = prior;
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
    this.classLogits = logits(Use.CLASSES, sizes.classes());
    this.slotLogits = logits(Use.SLOTS, sizes.slots());
    this.classLoss = workspace.get(Use.CLASS_LOSS, batch.size());
    this.slotLoss = workspace.get(Use.SLOT_LOSS, batch.size());
    this.weights = workspace.get(Use.WEIGHTS, batch.size());
    weights.putFloats(0, batch.weights(), 0, batch.size());
  }

  /** Room for logits, which become the gradients with respect to them in place. */
  private Rows logits(Use use, int size) {
    return new Rows(workspace.get(use, x.count() * size), x.count(), size);
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
    int[] rows = batch.rows();
    try (ClassLevel level = classLevel();
        GemmSchedule opened = GemmSchedule.ofRows(rows, rows, batch.classes(), sizes.classes());
        OuterSchedule outer = OuterSchedule.ofRows(opened)) {
      classLogits(level.gemm);
      addTo(losses, classLoss);
      if (update.finiteOnly() && !isFinite(classLoss, level.gemm, 0, level.gemm.chunks())) {
        return losses;
      }
      clearRowsThatDoNotCount();
      if (gradX != null) {
        engine.gemm(level.gemm, classLogits, w1.transpose(), null, false, gradX);
      }
      if (openClasses(opened, outer)) {
        update.classLevel(new ClassLevelGradient(engine, level.gemm, level.outer, x, classLogits));
      }
    }
    addTo(losses, slotLoss);
    return losses;
  }

  private void addTo(double[] losses, Storage rowLosses) {
    for (int r = 0; r < losses.length; r++) {
      losses[r] += rowLosses.getFloat(batch.rows()[r]);
    }
  }

  private void classLogits(GemmSchedule gemm) {
    engine.gemm(gemm, x, w1, b1, false, classLogits);
    engine.crossEntropy(
        gemm,
        sizes.classes(),
        targets(Use.CLASS_TARGETS, batch.classes()),
        weights,
        batch.smoothing(),
        prior,
        classLoss,
        classLogits);
  }

  /** Whether every class was given to the update. */
  private boolean openClasses(GemmSchedule opened, OuterSchedule outer) {
    Kernels kernels = engine.kernels();
    Storage targets = targets(Use.SLOT_TARGETS, batch.slots());
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
            slotLogits(kernels, opened, first, last, targets);
            if (gradX != null) {
              kernels.blockGemm(
                  opened,
                  first,
                  last,
                  0,
                  sizes.features(),
                  slotLogits,
                  w2Transposed,
                  null,
                  true,
                  gradX);
            }
            if (update.finiteOnly() && !isFinite(slotLoss, opened, first, last)) {
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

  private void slotLogits(
      Kernels kernels, GemmSchedule opened, int first, int last, Storage targets) {
    int slots = sizes.slots();
    kernels.blockGemm(opened, first, last, 0, slots, x, w2, b2, false, slotLogits);
    kernels.blockCrossEntropy(
        opened,
        first,
        last,
        slots,
        valid,
        targets,
        weights,
        batch.smoothing(),
        null,
        slotLoss,
        slotLogits);
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

  /**
   * The targets of all rows; those that do not count get target 0, which their weight makes
   * harmless.
   */
  private Storage targets(Use use, int[] values) {
    int[] all = new int[batch.size()];
    for (int r = 0; r < values.length; r++) {
      all[batch.rows()[r]] = values[r];
    }
    Storage storage = workspace.get(use, all.length);
    storage.putInts(0, all, 0, all.length);
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
}
