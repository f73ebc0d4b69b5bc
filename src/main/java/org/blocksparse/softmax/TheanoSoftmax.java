// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;

/**
 * Theano's {@code h_softmax}: output o belongs to class o / nOutputsPerClass.
 *
 * <p>As in Theano, slots beyond {@code nOutputs} take part in the softmax of their class and are
 * then cut off, so rows may sum to less than one, and the result is a product of two probabilities,
 * which may underflow. Unlike Theano, targets out of range are refused. {@link HierarchicalSoftmax}
 * has neither limit, and trains.
 */
public final class TheanoSoftmax {
  private TheanoSoftmax() {}

  /** Computes the probabilities by {@link Workers#common}. */
  public static FloatTensor apply(
      FloatTensor x,
      int batchSize,
      int nOutputs,
      int nClasses,
      int nOutputsPerClass,
      FloatTensor W1,
      FloatTensor b1,
      FloatTensor W2,
      FloatTensor b2,
      IntTensor target) {
    return apply(
        x,
        batchSize,
        nOutputs,
        nClasses,
        nOutputsPerClass,
        W1,
        b1,
        W2,
        b2,
        target,
        Workers.common());
  }

  /**
   * Returns the probabilities of targets, or of all outputs.
   *
   * @param x (batchSize, features)
   * @param batchSize the number of rows of x, at most 2<sup>29</sup>
   * @param nOutputs the number of outputs, at most nClasses * nOutputsPerClass
   * @param nClasses the number of classes
   * @param nOutputsPerClass the number of outputs in each class
   * @param W1 (features, nClasses)
   * @param b1 (nClasses)
   * @param W2 (nClasses, features, nOutputsPerClass)
   * @param b2 (nClasses, nOutputsPerClass)
   * @param target (batchSize), each in [0, nOutputs), or null
   * @param workers the threads that compute
   * @return a new tensor: (batchSize) probabilities of the targets, or, without targets,
   *     (batchSize, nOutputs) probabilities of all outputs
   * @throws NullPointerException if an argument other than target is null
   * @throws IllegalArgumentException if a number is out of range or a shape does not fit
   * @throws IndexOutOfBoundsException if a target is outside [0, nOutputs)
   * @throws IllegalStateException if a tensor is closed
   */
  public static FloatTensor apply(
      FloatTensor x,
      int batchSize,
      int nOutputs,
      int nClasses,
      int nOutputsPerClass,
      FloatTensor W1,
      FloatTensor b1,
      FloatTensor W2,
      FloatTensor b2,
      IntTensor target,
      Workers workers) {
    requireNonNull(workers, "workers");
    Check.atLeast(0, "batchSize", batchSize);
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
    Check.batch("x", x.shape().dim(0), "rows");
    int features = (int) x.shape().dim(1);
    Check.shape("x", x, "(batchSize, features)", batchSize, features);
    SoftmaxSizes sizes = new SoftmaxSizes(features, nClasses, nOutputsPerClass);
    SoftmaxStorage parameters = sizes.storage(W1, b1, W2, b2);
    int[] targets = target == null ? null : targets(target, batchSize, nOutputs);
    TwoLevelSoftmax softmax =
        new TwoLevelSoftmax(Engine.from(workers), Link.SOFTMAX, parameters, sizes, null);
    try (OperandLease lease =
            new OperandLease().of("x", x).of("W1", W1).of("b1", b1).of("W2", W2).of("b2", b2);
        Workspace workspace = softmax.borrowWorkspace()) {
      return targets == null
          ? all(softmax, KernelOperands.rows(x), nOutputs, room == nOutputs, workspace)
          : ofTargets(softmax, KernelOperands.rows(x), targets, nOutputsPerClass, workspace);
    } finally {
      softmax.close();
    }
  }

  private static int[] targets(IntTensor target, int batchSize, int nOutputs) {
    Check.shape("target", target, "(batchSize)", batchSize);
    int[] values = DenseInts.from(target).toArray("target");
    Check.indices("target", values, 0, "nOutputs", nOutputs);
    return values;
  }

  /** Returns the first nOutputs of all slots. */
  private static FloatTensor all(
      TwoLevelSoftmax softmax, Rows x, int nOutputs, boolean isRoom, Workspace workspace) {
    float[] row = new float[isRoom ? 0 : nOutputs];
    return KernelOperands.filled(
        FloatTensor.zeros(x.count(), nOutputs),
        result ->
            softmax.grid(
                x,
                false,
                isRoom ? KernelOperands.rows(result) : null,
                (begin, grid) -> {
                  for (int r = 0; r < grid.count(); r++) {
                    grid.get(r, 0, row);
                    KernelOperands.rows(result).put(begin + r, 0, row);
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
    Rows bySlot = softmax.open(x, byClass, targets.length, null, classOf, false, workspace);
    float[] result = new float[targets.length];
    for (int r = 0; r < targets.length; r++) {
      result[r] = bySlot.get(r, targets[r] % slots);
    }
    return FloatTensor.of(result, targets.length);
  }
}
