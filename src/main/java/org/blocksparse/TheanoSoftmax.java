// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.Rows;
import org.blocksparse.internal.softmax.TwoLevelSoftmax;
import org.blocksparse.internal.softmax.Workspace;

/** What {@link HierarchicalSoftmax#hSoftmax} does. */
final class TheanoSoftmax {
  private TheanoSoftmax() {}

  static FloatTensor apply(
      FloatTensor x,
      int batchSize,
      int nOutputs,
      int nClasses,
      int nOutputsPerClass,
      SoftmaxParameters parameters,
      IntTensor target) {
    Check.atLeast(1, "nClasses", nClasses);
    Check.atLeast(1, "nOutputsPerClass", nOutputsPerClass);
    long room = (long) nClasses * nOutputsPerClass;
    if (nOutputs < 1 || nOutputs > room) {
      throw new IllegalArgumentException(
          "nOutputs: expected a number in [1, nClasses * nOutputsPerClass = "
              + room
              + "] but was "
              + nOutputs);
    }
    Check.rank("x", x, "(batchSize, features)", 2);
    int features = (int) x.shape().dim(1);
    Check.shape("x", x, "(batchSize, features)", batchSize, features);
    parameters.require(features, nClasses, nOutputsPerClass);
    int[] targets = target == null ? null : targets(target, batchSize, nOutputs);
    TwoLevelSoftmax softmax =
        new TwoLevelSoftmax(
            Workers.common().engine(),
            parameters.storages(),
            features,
            nClasses,
            nOutputsPerClass,
            null);
    try (Lease lease = new Lease().of("x", x).of(parameters);
        Workspace workspace = softmax.borrowWorkspace()) {
      return targets == null
          ? all(softmax, Operands.rows(x), nOutputs, room == nOutputs, workspace)
          : ofTargets(softmax, Operands.rows(x), targets, nOutputsPerClass, workspace);
    } finally {
      softmax.close();
    }
  }

  private static int[] targets(IntTensor target, int batchSize, int nOutputs) {
    Check.shape("target", target, "(batchSize)", batchSize);
    int[] values = target.toArray("target");
    Check.indices("target", values, 0, "nOutputs", nOutputs);
    return values;
  }

  /** The first nOutputs of all slots. */
  private static FloatTensor all(
      TwoLevelSoftmax softmax, Rows x, int nOutputs, boolean isRoom, Workspace workspace) {
    float[] row = new float[isRoom ? 0 : nOutputs];
    return FloatTensor.zeros(x.count(), nOutputs)
        .filledBy(
            result ->
                softmax.grid(
                    x,
                    false,
                    isRoom ? Operands.rows(result) : null,
                    (begin, grid) -> {
                      for (int r = 0; r < grid.count(); r++) {
                        grid.get(r, 0, row);
                        result.put((long) (begin + r) * nOutputs, row, 0, nOutputs);
                      }
                    },
                    workspace));
  }

  private static FloatTensor ofTargets(
      TwoLevelSoftmax softmax, Rows x, int[] targets, int slots, Workspace workspace) {
    int[] classOf = new int[targets.length];
    for (int r = 0; r < targets.length; r++) {
      classOf[r] = targets[r] / slots;
    }
    Rows byClass = softmax.classes(x, false, workspace);
    Rows bySlot = softmax.open(x, byClass, null, classOf, false, workspace);
    float[] result = new float[targets.length];
    for (int r = 0; r < targets.length; r++) {
      result[r] = bySlot.get(r, targets[r] % slots);
    }
    return FloatTensor.of(result, targets.length);
  }
}
