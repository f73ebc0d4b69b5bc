// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * Kernels and a scheduler together: the one road by which anything runs. Cuts the schedule of an
 * operation into tasks and runs them.
 *
 * <p>Where a schedule has few chunks (a batch of one, a few large experts), each is cut further, by
 * columns of the rows written or by rows of the block written. How far depends on the problem
 * alone.
 */
public final class Engine {
  /** Tasks that give a machine of some cores enough to choose from, and end at about one time. */
  private static final int ENOUGH_TASKS = 32;

  /** The narrowest piece that a row or a block is cut into; a multiple of every register tile. */
  private static final int MIN_PIECE = 64;

  /** What a softmax costs for each element, in multiply-adds. */
  private static final int SOFTMAX_WORK = 16;

  private final Scheduler scheduler;

  /** Null: those that {@link KernelsProvider} chooses, when they are first used. */
  private final Kernels kernels;

  private Engine(Scheduler scheduler, Kernels kernels) {
    this.scheduler = scheduler;
    this.kernels = kernels;
  }

  /** An engine over the kernels of this machine. */
  public static Engine of(Scheduler scheduler) {
    return new Engine(scheduler, null);
  }

  /** The same threads over given kernels. */
  public Engine with(Kernels other) {
    return new Engine(scheduler, other);
  }

  /**
   * The kernels.
   *
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public Kernels kernels() {
    return kernels != null ? kernels : KernelsProvider.kernels();
  }

  /** The most threads that work on one operation, the calling one included. */
  public int maxWorkers() {
    return scheduler.maxWorkers();
  }

  /** See {@link Scheduler#run}. */
  public void run(int chunks, long work, Scheduler.Body body) {
    scheduler.run(chunks, work, body);
  }

  /** The width of the pieces that {@code size} is cut into, given how many are wanted. */
  private static int piece(int size, long wanted) {
    long pieces = Math.max(1, Math.min(wanted, size / MIN_PIECE));
    long piece = (size + pieces - 1) / pieces;
    return (int) Math.min(size, (piece + MIN_PIECE - 1) / MIN_PIECE * MIN_PIECE);
  }

  private static long ceilDiv(long dividend, long divisor) {
    return (dividend + divisor - 1) / divisor;
  }

  /** The multiply-adds of so many products of rows with blocks. */
  public static long work(long pairs, int size1, int size2) {
    return pairs * Math.max(1, size1) * Math.max(1, size2);
  }

  /** See {@link Kernels#blockGemm}. */
  public void gemm(GemmSchedule schedule, Rows a, Blocks w, Rows bias, boolean accumulate, Rows c) {
    Kernels used = kernels();
    int chunks = schedule.chunks();
    if (chunks == 0 || w.outSize() == 0) {
      return;
    }
    int width = piece(w.outSize(), ceilDiv(ENOUGH_TASKS, chunks));
    int pieces = Math.toIntExact(ceilDiv(w.outSize(), width));
    scheduler.run(
        Math.multiplyExact(chunks, pieces),
        work(Math.max(schedule.pairs(), schedule.rows()), w.inSize(), w.outSize()),
        (begin, end) -> {
          // Tasks of one piece follow each other, so that a claim is few calls.
          for (int task = begin; task < end; ) {
            int piece = task / chunks;
            int chunk = task % chunks;
            int count = Math.min(end - task, chunks - chunk);
            int column = piece * width;
            used.blockGemm(
                schedule,
                chunk,
                chunk + count,
                column,
                Math.min(column + width, w.outSize()),
                a,
                w,
                bias,
                accumulate,
                c);
            task += count;
          }
        });
  }

  /** See {@link Kernels#blockOuter}. */
  public void outer(
      OuterSchedule schedule, float alpha, Rows x, Rows y, boolean accumulate, Blocks o) {
    Kernels used = kernels();
    int blocks = schedule.blocks();
    if (blocks == 0 || o.inSize() == 0 || o.outSize() == 0) {
      return;
    }
    // A block that most samples select must not be left to one worker.
    long wanted = ceilDiv((long) ENOUGH_TASKS * schedule.maxPairs(), schedule.pairs());
    int height = piece(o.inSize(), wanted);
    int pieces = Math.toIntExact(ceilDiv(o.inSize(), height));
    scheduler.run(
        Math.multiplyExact(blocks, pieces),
        work(schedule.pairs(), o.inSize(), o.outSize()),
        (begin, end) -> {
          for (int task = begin; task < end; ) {
            int piece = task / blocks;
            int block = task % blocks;
            int count = Math.min(end - task, blocks - block);
            int row = piece * height;
            used.blockOuter(
                schedule,
                block,
                block + count,
                row,
                Math.min(row + height, o.inSize()),
                alpha,
                x,
                y,
                accumulate,
                o);
            task += count;
          }
        });
  }

  /** See {@link Kernels#blockSum}; the chunks of one block are summed by one worker. */
  public void sum(GemmSchedule schedule, int n, float alpha, Rows y, Rows o) {
    Kernels used = kernels();
    scheduler.run(
        schedule.chunks(),
        work(schedule.rows(), 1, n),
        (begin, end) -> {
          for (int c = begin; c < end; c++) {
            if (c == 0 || schedule.writeBlock(c - 1) != schedule.writeBlock(c)) {
              used.blockSum(schedule, c, schedule.sameBlockEnd(c), n, alpha, y, o);
            }
          }
        });
  }

  /** See {@link Kernels#blockSoftmax}. */
  public void softmax(
      boolean logarithm, GemmSchedule schedule, int n, Storage valid, Storage scale, Rows c) {
    Kernels used = kernels();
    scheduler.run(
        schedule.chunks(),
        work(schedule.rows(), SOFTMAX_WORK, n),
        (begin, end) -> used.blockSoftmax(logarithm, schedule, begin, end, n, valid, scale, c));
  }

  /** See {@link Kernels#blockCrossEntropy}. */
  public void crossEntropy(
      GemmSchedule schedule,
      int n,
      Storage target,
      Storage weights,
      float smoothing,
      Storage prior,
      Storage nll,
      Rows c) {
    Kernels used = kernels();
    scheduler.run(
        schedule.chunks(),
        work(schedule.rows(), SOFTMAX_WORK, n),
        (begin, end) ->
            used.blockCrossEntropy(
                schedule, begin, end, n, null, target, weights, smoothing, prior, nll, c));
  }
}
