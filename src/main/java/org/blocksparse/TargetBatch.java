// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.internal.softmax.TwoLevelSoftmax;

/** The checked targets of a batch: the rows that count in a loss, with their weights. */
final class TargetBatch {
  final float smoothing;

  /** (batch): what the loss of each row is multiplied by; defined for rows that count. */
  final float[] weights;

  /** The rows that count, with the class and the slot of each one's target. */
  final TwoLevelSoftmax.Targets targets;

  /**
   * Checks and sorts.
   *
   * @param batch the number of rows
   * @throws IllegalArgumentException if a shape does not fit or a weight is not finite
   * @throws IndexOutOfBoundsException if a target that is not ignored is outside [0, outputs)
   */
  TargetBatch(int batch, IntTensor targetTensor, Loss loss, ClassAssignment classes) {
    Check.shape("targets", targetTensor, "(batch)", batch);
    int[] outputs = targetTensor.toArray("targets");
    int counted = 0;
    for (int r = 0; r < batch; r++) {
      if (!loss.ignores(outputs[r])) {
        Check.index("targets", outputs[r], r, 0, "outputs", classes.outputs());
        counted++;
      }
    }
    smoothing = loss.smoothing();
    weights = weights(batch, loss);
    // A row of weight 0 counts in the mean, but there is nothing to compute for it.
    int[] rows =
        IntStream.range(0, batch)
            .filter(r -> !loss.ignores(outputs[r]) && weights[r] != 0)
            .toArray();
    int[] classOf = new int[rows.length];
    int[] slotOf = new int[rows.length];
    for (int i = 0; i < rows.length; i++) {
      classOf[i] = classes.classOf(outputs[rows[i]]);
      slotOf[i] = classes.slotOf(outputs[rows[i]]);
      weights[rows[i]] *= loss.isMean() ? 1f / counted : 1f;
    }
    targets = new TwoLevelSoftmax.Targets(rows, classOf, slotOf);
  }

  /** The caller's weights, by default 1. */
  private static float[] weights(int batch, Loss loss) {
    if (loss.weights() == null) {
      float[] ones = new float[batch];
      Arrays.fill(ones, 1);
      return ones;
    }
    Check.shape("weights", loss.weights(), "(batch)", batch);
    try (Lease lease = new Lease().of("weights", loss.weights())) {
      float[] given = loss.weights().toArray();
      for (int r = 0; r < batch; r++) {
        Check.finite("weights[" + r + "]", given[r]);
      }
      return given;
    }
  }

  /** The number of rows, those that do not count included. */
  int size() {
    return weights.length;
  }

  /** What each row adds to the loss, given the losses of those that count. */
  float[] weighted(double[] losses) {
    float[] result = new float[weights.length];
    for (int i = 0; i < losses.length; i++) {
      int row = targets.rows()[i];
      result[row] = (float) (weights[row] * losses[i]);
    }
    return result;
  }

  /** The loss, given the losses of the rows that count. */
  double sum(double[] losses) {
    double sum = 0;
    for (int i = 0; i < losses.length; i++) {
      sum += weights[targets.rows()[i]] * losses[i];
    }
    return sum;
  }
}
