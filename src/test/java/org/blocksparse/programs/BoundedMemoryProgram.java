// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.SplittableRandom;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.ChildJvm;

/**
 * Makes calls with many rows where 150 MB of native memory are allowed: memory does not grow with
 * the batch.
 */
public final class BoundedMemoryProgram {
  private static final int CLASSES = 4096;
  private static final int ROWS = 10_000;

  private BoundedMemoryProgram() {}

  public static void main(String[] args) {
    try (FloatTensor x = FloatTensor.zeros(ROWS, 1);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(1, 2 * CLASSES).classes(CLASSES).build()) {
      x.fill(1);
      ChildJvm.check(layer.topK(x, 1).batch() == ROWS, "topK");
      ChildJvm.check(layer.sample(x, new SplittableRandom(1)).length == ROWS, "sample");
    }
    try (FloatTensor x = FloatTensor.zeros(ROWS, 1);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(1, 2 * CLASSES).classes(CLASSES).build()) {
      ChildJvm.check(layer.addOutputs(x) == 2 * CLASSES, "addOutputs");
    }
    steps();
    System.out.println("lives on");
  }

  /**
   * Makes steps with 2,000 rows that open 20 of 64 classes with 1,000 outputs: 160 MB of logits.
   */
  private static void steps() {
    int rows = 2_000;
    int each = 20;
    int[] offsets = new int[rows + 1];
    int[] outputs = new int[rows * each];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = (i / each + 3 * (i % each)) % 64 * 1000 + i % 1000;
    }
    for (int row = 0; row <= rows; row++) {
      offsets[row] = each * row;
    }
    try (FloatTensor x = FloatTensor.zeros(rows, 2);
        FloatTensor gradX = FloatTensor.zeros(rows, 2);
        SparseRows targets = SparseRows.of(offsets, outputs);
        LabelTree tree = LabelTree.builder(2, 64_000).classes(64).build()) {
      x.fill(1);
      double loss = tree.step(x, targets, Loss.mean(), Optimizer.adagrad(0.1f), gradX);
      ChildJvm.check(tree.loss(x, targets) < loss, "step");
    }
  }
}
