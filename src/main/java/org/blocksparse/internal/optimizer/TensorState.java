// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.optimizer;

import org.blocksparse.internal.RowKernels;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.memory.HeapRoom;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;

/**
 * The optimizer state of one tensor: the moments of each element, and the steps that each block has
 * taken. Different blocks may be updated by different threads at the same time.
 */
public final class TensorState {
  private final BlockedTensor tensor;
  private final Storage[] moments;

  /** Empty unless the kind of rule counts them. */
  private final int[] steps;

  /**
   * State of a tensor that has made no step.
   *
   * @throws OutOfMemoryError that names the bytes, if the heap has no room for the steps
   */
  TensorState(BlockedTensor tensor, UpdateRule.Kind kind, Storage[] moments) {
    this.tensor = tensor;
    this.moments = moments;
    this.steps = noSteps(kind.countsSteps() ? tensor.blocks() : 0);
  }

  private static int[] noSteps(int blocks) {
    return HeapRoom.ints(blocks, "numbers of steps");
  }

  /** Makes a block follow its gradient, which is in the first elements of {@code gradient}. */
  void update(UpdateRule rule, RowKernels kernels, int block, Storage gradient) {
    long count = tensor.blockSize();
    float scale = scale(rule, kernels, count, gradient);
    update(rule, kernels, block, 0, count, scale, gradient);
    countStep(block);
  }

  /**
   * Makes a band of a block follow its gradient, which is in the first elements of {@code
   * gradient}. The step of the block is counted when all bands are done.
   *
   * @param begin where the band begins within the block
   * @param scale what the gradient is multiplied by
   */
  void update(
      UpdateRule rule,
      RowKernels kernels,
      int block,
      long begin,
      long count,
      float scale,
      Storage gradient) {
    long offset = block * tensor.blockSize() + begin;
    kernels.step(
        rule, count, scale, nextStep(block), gradient, tensor.storage(), offset, moments);
  }

  /** Makes the blocks that are targets follow the sums of bags [begin, end). */
  void update(
      UpdateRule rule,
      RowKernels kernels,
      Bags bags,
      int begin,
      int end,
      Rows gradients,
      Slice targets,
      Slice stepsOfBags) {
    int n = Math.toIntExact(tensor.blockSize());
    boolean counts = rule.kind().countsSteps();
    for (int bag = begin; counts && bag < end; bag++) {
      stepsOfBags.putInt(bag, nextStep(targets.getInt(bag)));
    }
    kernels.bagStep(
        rule,
        bags,
        begin,
        end,
        n,
        gradients,
        targets,
        stepsOfBags,
        tensor.storage(),
        moments);
    for (int bag = begin; counts && bag < end; bag++) {
      countStep(targets.getInt(bag));
    }
  }

  /** What a gradient is multiplied by so that it is not longer than allowed. */
  private static float scale(UpdateRule rule, RowKernels kernels, long count, Storage gradient) {
    if (!rule.isClipping()) {
      return 1;
    }
    float norm = kernels.norm(count, gradient);
    return norm > rule.maxNorm() ? rule.maxNorm() / norm : 1;
  }

  /**
   * The number of a block's next step; 1 where they are not counted. After 2^31 - 1 of them Adam
   * corrects nothing anyway.
   */
  private int nextStep(int block) {
    return steps.length == 0 ? 1 : Math.max(steps[block], steps[block] + 1);
  }

  /** A block has made a step: what fails before it has leaves its number as it was. */
  void countStep(int block) {
    if (steps.length > 0) {
      steps[block] = nextStep(block);
    }
  }

  /** One of the moments, of the size of the tensor. */
  public Storage moment(int number) {
    return moments[number];
  }

  /** The steps that each block has taken; 0 where the rule does not count them. */
  public int[] steps() {
    int[] copy = noSteps(tensor.blocks());
    System.arraycopy(steps, 0, copy, 0, steps.length);
    return copy;
  }

  /** Sets what {@link #steps} returns; nothing if the rule does not count them. */
  public void restoreSteps(int[] taken) {
    System.arraycopy(taken, 0, steps, 0, steps.length);
  }
}
