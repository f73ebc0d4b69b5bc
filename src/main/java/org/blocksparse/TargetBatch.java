// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.internal.softmax.ClassTable;
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
    return new TrainingBatch(rows, classOf, slotOf, weights, loss.smoothing());
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
