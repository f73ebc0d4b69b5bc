// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import java.util.SplittableRandom;
import org.blocksparse.internal.kernels.BagDots;
import org.blocksparse.internal.kernels.BagSteps;
import org.blocksparse.internal.kernels.BagSums;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Parameters;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.Bags.Reduction;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.sparse.TransposedBags;

/**
 * Operations on the table of an embedding bag, with checked operands.
 *
 * @param rows the table; of floats where it is to be written
 * @param features the size of a row
 * @param reduction the factor of the sum of a bag
 */
public record BagTable(Engine engine, TableRows rows, int features, Reduction reduction) {
  /** The cost of an element of a row at a random place, in multiply-adds. */
  private static final int ELEMENT_WORK = 4;

  /** The cost of sorting or packing an entry, in multiply-adds. */
  private static final int SORT_WORK = 64;

  /** The rows that one generator draws. */
  private static final int DRAWN_ROWS = 1 << 12;

  /** The increment of a {@link SplittableRandom} for each number. */
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  /** A random offset, which separates the numbers of tables from those of layers above them. */
  private static final long STREAM = 0x3C79AC492BA7B653L;

  private long work(long entries) {
    return Scheduler.work(entries, features, ELEMENT_WORK);
  }

  /**
   * Draws the table, uniform in [-bound, bound): equal for any number of workers, and different
   * from the initial numbers of a layer with the same seed.
   */
  public void draw(long seed, float bound) {
    long count = rows.count();
    int pieces = Math.toIntExact(Scheduler.ceilDiv(count, DRAWN_ROWS));
    long state = seed ^ STREAM;
    engine.run(
        pieces,
        work(count),
        (begin, end) -> {
          float[] row = new float[features];
          for (int piece = begin; piece < end; piece++) {
            long first = (long) piece * DRAWN_ROWS;
            // Begins where the generator of the previous piece ended, as if there were only one.
            SplittableRandom random = new SplittableRandom(state + first * features * GOLDEN_GAMMA);
            for (long r = first; r < Math.min(first + DRAWN_ROWS, count); r++) {
              for (int q = 0; q < features; q++) {
                row[q] = (2 * random.nextFloat() - 1) * bound;
              }
              rows.storage().putFloats(rows.offset() + r * rows.stride(), row, 0, features);
            }
          }
        });
  }

  /** Sets row r of {@code out} to the reduced sum of bag r. */
  public void sum(Bags bags, Rows out) {
    RowKernels kernels = engine.kernels().rows();
    BagSums sums = new BagSums(reduction, bags, features, rows, out);
    engine.run(
        bags.count(),
        work((long) bags.entries() + bags.count()),
        (begin, end) -> kernels.bagSum(sums, begin, end));
  }

  /** Computes the gradient with respect to the values of the bags. */
  public void dot(Bags bags, Rows gradOut, Storage gradValues) {
    RowKernels kernels = engine.kernels().rows();
    BagDots dots = new BagDots(reduction, bags, features, rows, gradOut, gradValues);
    engine.run(
        bags.count(), work(bags.entries()), (begin, end) -> kernels.bagDot(dots, begin, end));
  }

  /**
   * Makes one step of each row of the table that the bags name.
   *
   * @param bound the exclusive bound of all indices
   * @param tensor the position of the table in the state
   */
  public void step(Bags bags, int bound, Rows gradOut, LayerState.Step step, int tensor) {
    forEachGradient(
        bags,
        bound,
        gradOut,
        (sums, begin, end, gradients, targets, steps) ->
            step.update(tensor, sums, begin, end, gradients, targets, steps));
  }

  /**
   * Replaces each named row of the table, which holds gradients, by its gradient, or adds alpha
   * times that.
   *
   * @param bound the exclusive bound of all indices
   */
  public void gradient(Bags bags, int bound, Rows gradOut, float alpha, boolean accumulate) {
    RowKernels kernels = engine.kernels().rows();
    Parameters table = new Parameters(rows.storage());
    forEachGradient(
        bags,
        bound,
        gradOut,
        (sums, begin, end, gradients, targets, steps) -> {
          if (!accumulate) {
            clear(targets, begin, end);
          }
          kernels.bagAdd(
              alpha, new BagSteps(sums, features, gradients, targets, steps, table), begin, end);
        });
  }

  private TransposedBags transposed(Bags bags, int bound, Reduction factors) {
    return TransposedBags.of(
        bags,
        bound,
        factors,
        (count, task) ->
            engine.run(
                count,
                Scheduler.work(bags.entries(), SORT_WORK, 1),
                (begin, end) -> {
                  for (int t = begin; t < end; t++) {
                    task.accept(t);
                  }
                }));
  }

  /** Sets the rows of the table that the bags name to 0. */
  public void clear(Bags bags, int bound) {
    try (TransposedBags transposed = transposed(bags, bound, Reduction.SUM)) {
      for (TransposedBags.Group group :
          new TransposedBags.Group[] {transposed.whole(), transposed.cut()}) {
        engine.run(
            group.bags().count(),
            work(group.bags().count()),
            (begin, end) -> clear(group.targets(), begin, end));
      }
    }
  }

  private void clear(Slice targets, int begin, int end) {
    for (int bag = begin; bag < end; bag++) {
      long row = targets.getInt(bag);
      rows.storage().fill(rows.offset() + row * rows.stride(), features, 0);
    }
  }

  /** Receives bags [begin, end), whose sums are the gradients of the targets. */
  private interface Gradients {
    void accept(Bags sums, int begin, int end, Rows gradients, Slice targets, Slice steps);
  }

  /** Passes the gradients on; rows that are named very often are summed in parts first. */
  private void forEachGradient(Bags bags, int bound, Rows gradOut, Gradients taker) {
    try (TransposedBags transposed = transposed(bags, bound, reduction)) {
      Bags parts = transposed.parts();
      if (parts.count() == 0) {
        take(transposed.whole(), gradOut, taker);
      } else {
        try (Scratch scratch = Scratch.borrow((long) parts.count() * features)) {
          take(transposed.whole(), gradOut, taker); // a lack of memory changes nothing
          TableRows summands = new TableRows(gradOut);
          Rows sums = new Rows(scratch.storage(), parts.count(), features);
          RowKernels kernels = engine.kernels().rows();
          BagSums all = new BagSums(Reduction.SUM, parts, features, summands, sums);
          engine.run(
              parts.count(),
              work(parts.entries()),
              (begin, end) -> kernels.bagSum(all, begin, end));
          take(transposed.cut(), sums, taker);
        }
      }
    }
  }

  private void take(TransposedBags.Group group, Rows gradients, Gradients taker) {
    Bags bags = group.bags();
    engine.run(
        bags.count(),
        work((long) bags.entries() + bags.count()),
        (begin, end) -> taker.accept(bags, begin, end, gradients, group.targets(), group.steps()));
  }
}
