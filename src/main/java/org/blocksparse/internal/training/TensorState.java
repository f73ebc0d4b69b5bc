// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import java.util.Arrays;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.kernels.BagSteps;
import org.blocksparse.internal.kernels.Parameters;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;

/**
 * The optimizer state of one tensor: the moments of each element, and the steps that each block has
 * taken. Different blocks may be updated by different threads at the same time.
 */
public final class TensorState {
  /** The number of bits after which a power of two vanishes beside 1. */
  private static final int CORRECTED_BITS = 54;

  private final BlockedTensor tensor;
  private final Parameters parameters;

  /** The steps of each block; empty unless the rule counts them. */
  private final int[] steps;

  /**
   * The number of steps that each block had made when each of its columns began, so that a later
   * column is corrected by its own number of steps; null if all columns were there from the first
   * step on. Empty unless the optimizer counts steps.
   */
  private final int[][] begun;

  /** Creates the state of a tensor before its first step. */
  TensorState(BlockedTensor tensor, Optimizer.Kind kind, Storage[] moments) {
    this.tensor = tensor;
    this.parameters = new Parameters(tensor.storage(), moments);
    int counted = kind.countsSteps() ? tensor.blocks() : 0;
    this.steps = new int[counted];
    this.begun = new int[counted][];
  }

  /** Updates a block by its gradient, which is in the first elements of {@code gradient}. */
  void update(Optimizer rule, RowKernels kernels, int block, Storage gradient) {
    long count = tensor.blockSize();
    float scale = scale(rule, kernels, count, gradient);
    if (begun.length == 0 || begun[block] == null) {
      update(rule, kernels, block, 0, count, scale, gradient);
    } else {
      updateColumns(rule, kernels, block, scale, gradient);
    }
    countStep(block);
  }

  /** Updates as {@link #update} does, each column by the number of its own step. */
  private void updateColumns(
      Optimizer rule, RowKernels kernels, int block, float scale, Storage gradient) {
    int[] columns = begun[block];
    long size = tensor.blockSize();
    long begin = block * size;
    int settled = settled(rule);
    int from = 0;
    while (from < columns.length) {
      int number = Math.min(settled, nextStep(block) - columns[from]);
      int to = from + 1;
      while (to < columns.length && Math.min(settled, nextStep(block) - columns[to]) == number) {
        to++;
      }
      boolean all = to - from == columns.length; // the columns of all rows are contiguous
      long run = all ? size : to - from;
      for (long at = from; at < size; at += all ? size : columns.length) {
        kernels.step(rule, parameters, begin + at, run, gradient, at, scale, number);
      }
      from = to;
    }
  }

  /** Returns the step from which on Adam's corrections are 1 in double precision. */
  private static int settled(Optimizer rule) {
    double slower = Math.max(rule.beta1(), rule.beta2());
    double steps = slower == 0 ? 1 : Math.ceil(-CORRECTED_BITS * Math.log(2) / Math.log(slower));
    return (int) Math.max(1, Math.min(Integer.MAX_VALUE, steps));
  }

  /**
   * Updates a band of a block by its gradient, which is in the first elements of {@code gradient}.
   * The step of the block is counted when all bands are done.
   *
   * @param begin the first element of the band in the block
   * @param scale the factor of the gradient
   */
  void update(
      Optimizer rule,
      RowKernels kernels,
      int block,
      long begin,
      long count,
      float scale,
      Storage gradient) {
    long offset = block * tensor.blockSize() + begin;
    kernels.step(rule, parameters, offset, count, gradient, 0, scale, nextStep(block));
  }

  /** Updates the target blocks by the sums of bags [begin, end). */
  void update(
      Optimizer rule,
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
        rule, new BagSteps(bags, n, gradients, targets, stepsOfBags, parameters), begin, end);
    for (int bag = begin; counts && bag < end; bag++) {
      countStep(targets.getInt(bag));
    }
  }

  /** Returns the factor that clips a gradient to the allowed norm. */
  private static float scale(Optimizer rule, RowKernels kernels, long count, Storage gradient) {
    if (rule.maxNorm() == Float.POSITIVE_INFINITY) {
      return 1;
    }
    float norm = kernels.norm(count, gradient);
    return norm > rule.maxNorm() ? rule.maxNorm() / norm : 1;
  }

  /**
   * Returns the number of a block's next step; 1 where they are not counted. After 2^31 - 1 of them
   * Adam corrects nothing anyway.
   */
  private int nextStep(int block) {
    return steps.length == 0 ? 1 : Math.max(steps[block], steps[block] + 1);
  }

  /** Counts a completed step of a block; a failure before it leaves the count unchanged. */
  void countStep(int block) {
    if (steps.length > 0) {
      steps[block] = nextStep(block);
    }
  }

  /** Returns one of the moments, of the size of the tensor. */
  public Storage moment(int number) {
    return parameters.moments()[number];
  }

  /** Returns the steps that each block has taken; 0 where the rule does not count them. */
  public int[] steps() {
    return Arrays.copyOf(steps, tensor.blocks());
  }

  /** Sets what {@link #steps} returns; nothing if the rule does not count them. */
  public void restoreSteps(int[] taken) {
    System.arraycopy(taken, 0, steps, 0, steps.length);
  }

  // ------------------------------------------------------------------------------------ columns

  /** Returns how many steps a column of a block has made itself. */
  public int steps(int block, int column) {
    return steps.length == 0 ? 0 : steps[block] - (begun[block] == null ? 0 : begun[block][column]);
  }

  /** Returns whether columns of any block began later than the block. */
  public boolean hasLaterColumns() {
    return Arrays.stream(begun)
        .anyMatch(block -> block != null && Arrays.stream(block).anyMatch(number -> number > 0));
  }

  /**
   * Returns how many steps a block had made when each of its columns began, not a copy; null: all
   * were there from the first step on.
   */
  public int[] begun(int block) {
    return begun.length == 0 ? null : begun[block];
  }

  /**
   * Sets what {@link #begun} returns, which becomes the state's own; nothing if the rule does not
   * count steps.
   */
  public void restoreBegun(int block, int[] ofColumns) {
    if (begun.length > 0) {
      begun[block] = ofColumns;
    }
  }

  /**
   * Allocates for columns that begin later, so that {@link #begin} needs no memory.
   *
   * @param columns the columns of a block
   */
  public void prepareToBegin(int block, int columns) {
    if (steps.length > 0 && steps[block] > 0 && begun[block] == null) {
      begun[block] = new int[columns];
    }
  }

  /** Begins columns [from, to) of a block now: they have made no step. */
  public void begin(int block, int from, int to) {
    if (begun.length > 0 && begun[block] != null) {
      Arrays.fill(begun[block], from, to, steps[block]);
    }
  }

  /** Moves a column of a block to the place of another one. */
  public void moveColumn(int block, int from, int to) {
    if (begun.length > 0 && begun[block] != null) {
      begun[block][to] = begun[block][from];
    }
  }

  /** Sets the steps that the columns of a block have made themselves. */
  public void restoreSteps(int block, int[] ofColumns) {
    if (steps.length == 0) {
      return;
    }
    int most = Arrays.stream(ofColumns).max().orElse(0);
    int[] missing = Arrays.stream(ofColumns).map(taken -> most - taken).toArray();
    steps[block] = most;
    begun[block] = Arrays.stream(missing).anyMatch(each -> each > 0) ? missing : null;
  }

  /** Takes over the steps of a state of equal blocks and kind. */
  public void copySteps(TensorState from) {
    restoreSteps(from.steps());
    for (int block = 0; block < begun.length; block++) {
      int[] columns = from.begun(block);
      begun[block] = columns == null ? null : columns.clone();
    }
  }
}
