// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/**
 * The checked targets of a batch.
 *
 * @param rows the rows that count, ascending
 * @param classes the class of the target of each row that counts
 * @param slots the slot of the target of each row that counts
 * @param weights (batch): what the loss of each row is multiplied by
 * @param smoothing the share of the loss that is on all classes and slots instead of the target
 */
public record TrainingBatch(
    int[] rows, int[] classes, int[] slots, float[] weights, float smoothing) {
  /** The number of rows, those that do not count included. */
  public int size() {
    return weights.length;
  }

  /** What each row adds to the loss, given the losses of those that count. */
  public float[] weighted(double[] losses) {
    float[] result = new float[weights.length];
    for (int i = 0; i < losses.length; i++) {
      result[rows[i]] = (float) (weights[rows[i]] * losses[i]);
    }
    return result;
  }

  /** The loss, given the losses of the rows that count. */
  public double sum(double[] losses) {
    double sum = 0;
    for (int i = 0; i < losses.length; i++) {
      sum += weights[rows[i]] * losses[i];
    }
    return sum;
  }
}
