// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.blocksparse.Backend;
import org.blocksparse.BlockPlan;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseBlockDot;
import org.blocksparse.Workers;

/** As many threads as it is told to, all in the same products at once. */
public final class ManyCallersProgram {
  private static final int ROUNDS = 3;

  private ManyCallersProgram() {}

  public static void main(String[] args) throws InterruptedException {
    int callers = Integer.parseInt(args[0]);
    CountDownLatch start = new CountDownLatch(callers);
    AtomicReference<Throwable> wrong = new AtomicReference<>();
    int size = 256;
    int few = 16;
    int batch = 32;
    try (FloatTensor W = FloatTensor.zeros(1, 1, size, size);
        FloatTensor h = FloatTensor.zeros(batch, 1, size);
        FloatTensor b = FloatTensor.zeros(1, size);
        FloatTensor gradOut = FloatTensor.zeros(batch, 1, few);
        IntTensor idx = IntTensor.zeros(batch, 1);
        BlockPlan plan = BlockPlan.of(idx, idx, 1, 1).withWorkers(Workers.callingThread())) {
      W.fill(2);
      h.fill(1);
      gradOut.fill(3);
      float[] expected = new float[batch * size];
      Arrays.fill(expected, 2 * size);
      float[] expectedGradW = new float[size * few];
      Arrays.fill(expectedGradW, 3 * batch);
      List<Thread> threads = new ArrayList<>();
      for (int caller = 0; caller < callers; caller++) {
        Thread thread =
            new Thread(
                () -> {
                  try (FloatTensor out = FloatTensor.zeros(batch, 1, size);
                      FloatTensor gradW = FloatTensor.zeros(1, 1, size, few)) {
                    start.countDown();
                    start.await();
                    for (int round = 0; round < ROUNDS; round++) {
                      SparseBlockDot.apply(W, h, b, plan, out);
                      SparseBlockDot.gradW(h, gradOut, plan, gradW);
                      if (!Arrays.equals(expected, out.toArray())
                          || !Arrays.equals(expectedGradW, gradW.toArray())) {
                        throw new IllegalStateException("another result");
                      }
                    }
                  } catch (Throwable e) {
                    wrong.set(e);
                  }
                });
        threads.add(thread);
        thread.start();
      }
      for (Thread thread : threads) {
        thread.join();
      }
    }
    if (wrong.get() != null) {
      throw new IllegalStateException(wrong.get());
    }
    System.out.println("lives on with " + Backend.instructionSet());
  }
}
