// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.ChildJvm;

/**
 * Runs as many threads as requested, all in the same product at once, and then in an outer product.
 * Each product takes longer than the scheduler's time slice.
 */
public final class ManyCallersProgram {
  private static final int ROWS = 64;
  private static final int DEPTH = 32_768;
  private static final int WIDTH = 128;

  private final int callers;

  /** The number of arrivals at the points where threads wait for all others. */
  private final AtomicLong arrivals = new AtomicLong();

  private final AtomicReference<Throwable> wrong = new AtomicReference<>();

  private ManyCallersProgram(int callers) {
    this.callers = callers;
  }

  public static void main(String[] args) throws InterruptedException {
    int callers = Integer.parseInt(args[0]);
    ManyCallersProgram program = new ManyCallersProgram(callers);
    try (FloatTensor W = FloatTensor.zeros(1, 1, DEPTH, WIDTH);
        FloatTensor h = FloatTensor.zeros(ROWS, 1, DEPTH)) {
      W.fill(2);
      h.fill(1);
      List<Thread> threads =
          Stream.generate(() -> new Thread(() -> program.call(W, h))).limit(callers).toList();
      threads.forEach(Thread::start);
      for (Thread thread : threads) {
        thread.join();
      }
    }
    if (program.wrong.get() != null) {
      throw new IllegalStateException(program.wrong.get());
    }
    System.out.println("lives on with " + Backend.instructionSet());
  }

  /** The plans are the thread's own: threads would wait for the schedules of shared ones. */
  private void call(FloatTensor W, FloatTensor h) {
    float[] expected = new float[ROWS * WIDTH];
    Arrays.fill(expected, 2 * DEPTH);
    try (BlockPlan plan = plan(ROWS);
        BlockPlan deepPlan = plan(DEPTH);
        FloatTensor deepH = h.reshape(DEPTH, 1, ROWS);
        FloatTensor gradOut = W.reshape(DEPTH, 1, WIDTH);
        FloatTensor b = FloatTensor.zeros(1, WIDTH);
        FloatTensor out = FloatTensor.zeros(ROWS, 1, WIDTH);
        FloatTensor gradW = FloatTensor.zeros(1, 1, ROWS, WIDTH)) {
      makeSchedules(plan, deepPlan);
      awaitAll(1);
      SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
      awaitAll(2);
      SparseBlockDot.gradW(deepH, gradOut, deepPlan, GradientOptions.overwrite(), gradW);
      ChildJvm.check(Arrays.equals(expected, out.toArray()), "another product");
      ChildJvm.check(Arrays.equals(expected, gradW.toArray()), "another outer product");
    } catch (Throwable e) {
      wrong.set(e);
      arrivals.set(Long.MAX_VALUE / 2); // releases all waiting threads
    }
  }

  /** Returns a plan that multiplies each row of a batch by the only block. */
  private static BlockPlan plan(int batch) {
    try (IntTensor idx = IntTensor.zeros(batch, 1)) {
      return BlockPlan.of(idx, idx, 1, 1).withWorkers(Workers.callingThread());
    }
  }

  /**
   * Makes the schedules by the same products of blocks of one element, which also load all classes.
   */
  private static void makeSchedules(BlockPlan plan, BlockPlan deepPlan) {
    try (FloatTensor W = FloatTensor.zeros(1, 1, 1, 1);
        FloatTensor h = FloatTensor.zeros(ROWS, 1, 1);
        FloatTensor b = FloatTensor.zeros(1, 1);
        FloatTensor deep = FloatTensor.zeros(DEPTH, 1, 1)) {
      SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)).close();
      SparseBlockDot.gradW(deep, deep, deepPlan).close();
    }
  }

  /**
   * Waits until all have arrived so often. Threads sleep, since a latch would wake one after the
   * other.
   */
  private void awaitAll(int times) throws InterruptedException {
    arrivals.incrementAndGet();
    while (arrivals.get() < (long) times * callers) {
      Thread.sleep(10);
    }
  }
}
