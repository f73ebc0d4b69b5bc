// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.ShortStack;

/** Multiplies and trains at many depths of a stack that is nearly full, and then with room. */
public final class DeepStackProgram {
  private static final int DEPTHS = 200;

  /** The frames by which the room grows each time. */
  private static final int FRAMES = 3;

  private static final int BATCH = 256;
  private static final int SIZE = 128;

  private DeepStackProgram() {}

  public static void main(String[] args) throws Exception {
    try (FloatTensor W = FloatTensor.zeros(1, 1, SIZE, SIZE);
        FloatTensor h = FloatTensor.zeros(BATCH, 1, SIZE);
        FloatTensor b = FloatTensor.zeros(1, SIZE);
        FloatTensor out = FloatTensor.zeros(BATCH, 1, SIZE);
        BlockPlan plan = BlockPlan.dense(BATCH);
        HierarchicalSoftmax layer = HierarchicalSoftmax.builder(SIZE, 1000).build();
        FloatTensor x = h.reshape(BATCH, SIZE);
        IntTensor targets = IntTensor.zeros(BATCH)) {
      W.fill(1);
      h.fill(2);
      Epilogue bias = Epilogue.none().withBias(b);
      atManyDepths("product", () -> SparseBlockDot.apply(W, h, plan, bias, out));
      out.fill(0);
      SparseBlockDot.apply(W, h, plan, bias, out);
      ChildJvm.check(out.get(BATCH - 1, 0, SIZE - 1) == 2 * SIZE, "a product is wrong");
      atManyDepths("step", () -> layer.step(x, targets, Optimizer.sgd(1e-4f)));
      double loss = layer.step(x, targets, Optimizer.sgd(1e-4f));
      ChildJvm.check(layer.step(x, targets, Optimizer.sgd(1e-4f)) < loss, "no step was made");
    }
    System.out.println("lives on");
  }

  private static void atManyDepths(String name, Runnable operation) throws Exception {
    operation.run(); // classes whose initialization fails stay unusable
    ShortStack.onThread(
        () -> {
          int overflows = ShortStack.fill(0, FRAMES, DEPTHS, operation);
          ChildJvm.check(overflows > 0, name + ": the stack was never too short");
          ChildJvm.check(overflows < DEPTHS, name + ": the stack was always too short");
        });
  }
}
