// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.ChildJvm;

/**
 * Counts the memory that training steps take; the main class of a JVM of {@code
 * SoftmaxBuilderTest}, so that no garbage of other tests is freed in between.
 */
public final class StepMemoryProgram {
  private static final int BATCH = 64;
  private static final int FEATURES = 16;

  private StepMemoryProgram() {}

  public static void main(String[] args) {
    int[] sizes = {100, 1000};
    Optimizer[] rules = {Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.1f)};
    for (int size : sizes) {
      for (int moments = 0; moments < rules.length; moments++) {
        check(size, rules[moments], moments);
      }
    }
    System.out.println(sizes.length + " sizes, " + rules.length + " rules");
  }

  private static void check(int size, Optimizer rule, int moments) {
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(FEATURES, size * size)
                .classes(size)
                .workers(Workers.callingThread())
                .build();
        FloatTensor x = FloatTensor.zeros(BATCH, FEATURES);
        FloatTensor gradX = FloatTensor.zeros(BATCH, FEATURES);
        IntTensor targets = IntTensor.zeros(BATCH)) {
      for (int row = 0; row < BATCH; row++) {
        targets.set(row * (size * size / BATCH), row);
      }
      long before = FloatTensor.allocatedBytes();
      for (int step = 0; step < 3; step++) {
        layer.step(x, targets, Loss.mean(), rule, gradX);
      }
      long parameters = 4L * (FEATURES + 1) * (size + (long) size * size);
      long taken = FloatTensor.allocatedBytes() - before - moments * parameters;
      // Logits of both levels; scratch for chunks of 128 rows, which is pooled; the gradients of W1
      // and of one class; and small arrays.
      long numbers = (2L * BATCH + 2 * 128 + 3 * (FEATURES + 1)) * size + 30_000;
      ChildJvm.check(
          taken <= 4 * numbers && 4 * numbers <= parameters,
          "%s, %d x %d: %d bytes taken, %d allowed, %d of parameters"
              .formatted(rule, size, size, taken, 4 * numbers, parameters));
    }
  }
}
