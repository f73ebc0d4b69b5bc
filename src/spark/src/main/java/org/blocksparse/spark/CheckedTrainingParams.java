// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.List;

/**
 * The checked parameters of a {@link TwoLevelClassifier}.
 *
 * @param weightCol null: all rows have weight 1
 * @param numLabels 0: as many as occur
 * @param classes 0: as many as train fastest
 * @param initialModel null if there is none
 * @param partitions 0: eight for each task slot
 */
record CheckedTrainingParams(
    String featuresCol,
    String labelCol,
    String weightCol,
    int epochs,
    OptimizerSettings optimizer,
    int batchSize,
    long seed,
    boolean reshuffle,
    int numLabels,
    int classes,
    String assignment,
    String initialModel,
    boolean keepOptimizerState,
    int partitions) {
  private static final List<String> ASSIGNMENTS = List.of("byFrequency", "contiguous", "clustered");

  CheckedTrainingParams {
    if (!ASSIGNMENTS.contains(assignment)) {
      throw new IllegalArgumentException(
          "assignment: expected one of "
              + String.join(", ", ASSIGNMENTS)
              + " but was "
              + assignment);
    }
    atLeast(0, "maxIter", epochs);
    atLeast(1, "batchSize", batchSize);
    atLeast(0, "numLabels", numLabels);
    if (numLabels > LabelTable.MOST) {
      throw new IllegalArgumentException(
          "numLabels: expected at most " + LabelTable.MOST + " but was " + numLabels);
    }
    atLeast(0, "classes", classes);
    atLeast(0, "numPartitions", partitions);
    optimizer.optimizer(); // rejects invalid settings
  }

  private static void atLeast(int minimum, String name, int value) {
    if (value < minimum) {
      throw new IllegalArgumentException(
          name + ": expected at least " + minimum + " but was " + value);
    }
  }
}
