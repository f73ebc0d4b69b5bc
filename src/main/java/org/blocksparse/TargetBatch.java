// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.internal.softmax.ClassTable;
import org.blocksparse.internal.softmax.LabelSets;
import org.blocksparse.internal.softmax.SingleTargets;
import org.blocksparse.internal.softmax.TrainingBatch;

/** Checks the targets of a batch, and finds the rows that count in a loss, with their weights. */
final class TargetBatch {
  private TargetBatch() {}

  /**
   * The checked batch.
   *
   * @param batch the number of rows
   * @throws IllegalArgumentException if a shape does not fit, a weight is not finite, or a target
   *     is retired
   * @throws IndexOutOfBoundsException if a target that is not ignored is outside [0, outputs)
   */
  static TrainingBatch check(int batch, IntTensor targets, Loss loss, ClassTable classes) {
    Check.shape("targets", targets, "(batch)", batch);
    int[] outputs = targets.toArray("targets");
    int counted = 0;
    for (int r = 0; r < batch; r++) {
      if (!loss.ignores(outputs[r])) {
        Check.index("targets", outputs[r], r, 0, "outputs", classes.outputs());
        if (classes.classOf()[outputs[r]] < 0) {
          throw new IllegalArgumentException("targets[" + r + "] = " + outputs[r] + " is retired");
        }
        counted++;
      }
    }
    float[] weights = weights(batch, loss);
    // A row of weight 0 counts in the mean, but there is nothing to compute for it.
    int[] rows =
        IntStream.range(0, batch)
            .filter(r -> !loss.ignores(outputs[r]) && weights[r] != 0)
            .toArray();
    int[] classOf = new int[rows.length];
    int[] slotOf = new int[rows.length];
    for (int i = 0; i < rows.length; i++) {
      classOf[i] = classes.classOf()[outputs[rows[i]]];
      slotOf[i] = classes.slotOf()[outputs[rows[i]]];
      weights[rows[i]] *= loss.isMean() ? 1f / counted : 1f;
    }
    return new SingleTargets(rows, classOf, slotOf, weights, loss.smoothing());
  }

  /**
   * The checked batch of a label tree.
   *
   * @param batch the number of rows
   * @throws IllegalArgumentException if there are not as many rows of targets, a weight is not
   *     finite, or the loss has what is only for single targets
   * @throws IndexOutOfBoundsException if a target is outside [0, outputs)
   * @throws IllegalStateException if the targets are closed
   */
  static TrainingBatch check(int batch, SparseRows targets, Loss loss, ClassTable classes) {
    loss.requireForSets();
    requireNonNull(targets, "targets").requireRows("targets", batch);
    try (Lease lease = targets.lease(new Lease(), "targets")) {
      targets.requireIndices("targets", "outputs", classes.outputs());
      requireLive(targets, classes);
      float[] weights = weights(batch, loss);
      for (int r = 0; loss.isMean() && r < batch; r++) {
        weights[r] /= batch;
      }
      return new LabelSets(targets.offsets(), targets.indices(), weights, classes);
    }
  }

  private static void requireLive(SparseRows targets, ClassTable classes) {
    if (classes.live() == classes.outputs()) {
      return;
    }
    for (int r = 0; r < targets.rows(); r++) {
      for (int output : targets.indices(r)) {
        if (classes.classOf()[output] < 0) {
          throw new IllegalArgumentException(
              "targets: index " + output + " of row " + r + " is retired");
        }
      }
    }
  }

  /** The caller's weights, by default 1. */
  private static float[] weights(int batch, Loss loss) {
    if (loss.rowWeights() == null) {
      float[] ones = new float[batch];
      Arrays.fill(ones, 1);
      return ones;
    }
    Check.shape("rowWeights", loss.rowWeights(), "(batch)", batch);
    try (Lease lease = new Lease().of("rowWeights", loss.rowWeights())) {
      float[] given = loss.rowWeights().toArray();
      for (int r = 0; r < batch; r++) {
        Check.finite("rowWeights[" + r + "]", given[r]);
      }
      return given;
    }
  }
}
