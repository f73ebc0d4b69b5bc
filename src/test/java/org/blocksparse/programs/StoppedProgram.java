// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.ChildJvm;

/** Multiplies while helpers spin, and while the process forks children that stop it for a while. */
public final class StoppedProgram {
  private static final int BATCH = 64;
  private static final int INPUTS = 256;
  private static final int OUTPUTS = 512;

  private StoppedProgram() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    String stop = "kill -STOP $0; sleep 0.1; kill -CONT $0";
    String process = Long.toString(ProcessHandle.current().pid());
    Workers spinning = Workers.common().withSpin(Duration.ofSeconds(1));
    try (FloatTensor w = random(1, 1, INPUTS, OUTPUTS);
        FloatTensor h = random(BATCH, 1, INPUTS);
        BlockPlan plan = BlockPlan.dense(BATCH)) {
      float[] expected = multiply(w, h, plan.withWorkers(Workers.callingThread()));
      for (int time = 0; time < 5; time++) {
        Process child = new ProcessBuilder("/bin/sh", "-c", stop, process).start();
        while (child.isAlive()) {
          requireSame(expected, multiply(w, h, plan.withWorkers(spinning)));
        }
        ChildJvm.check(child.waitFor() == 0, "the process was not stopped");
        requireSame(expected, multiply(w, h, plan.withWorkers(spinning)));
        ChildJvm.check(spinning.max() == 1 || hasHelper(), "no helper is left");
      }
    }
  }

  private static FloatTensor random(long... shape) {
    SplittableRandom random = new SplittableRandom(1);
    float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble() - 0.5f;
    }
    return FloatTensor.of(values, shape);
  }

  private static float[] multiply(FloatTensor w, FloatTensor h, BlockPlan plan) {
    try (FloatTensor out = SparseBlockDot.apply(w, h, plan, Epilogue.none())) {
      return out.toArray();
    }
  }

  private static void requireSame(float[] expected, float[] actual) {
    ChildJvm.check(Arrays.equals(expected, actual), "another product");
  }

  private static boolean hasHelper() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread -> thread.getName().startsWith("blocksparse-helper-"));
  }
}
