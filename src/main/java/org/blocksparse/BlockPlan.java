// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.memory.StackRoom;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * Which blocks each sample of a batch selects, made ready for computing: the pairs (row, block)
 * sorted by block, so that all rows that need a block are multiplied by it together.
 *
 * <p>Operations make a plan of their own from the index tensors. To compute more than once with the
 * same indices (forward and backward, or several layers), make the plan once and pass it instead.
 * The indices are copied: later changes of the tensors change nothing here.
 *
 * <p>A plan holds three schedules, each made at first use: for products (forward), for gradients
 * with respect to the input, and for outer products (gradients with respect to W). Each takes about
 * 12 bytes for every (sample, input block, output block).
 *
 * <p>Safe for use by any number of threads. {@link #close} is as for tensors; a plan that is not
 * closed is freed when it is garbage.
 */
public final class BlockPlan implements AutoCloseable {
  /** Half of what an array of Java's can hold, for two numbers each, leaves room for the rest. */
  private static final int MAX_PAIRS = 1 << 29;

  private static final String WEIGHTS = "(iBlocks, oBlocks, iSize, oSize)";

  /** What plans that differ only in their workers share. */
  private static final class Schedules {
    private final int batch;
    private final int[] inputIdx;
    private final int[] outputIdx;
    private final int iBlocks;
    private final int oBlocks;
    private boolean closed;
    private GemmSchedule forward;
    private GemmSchedule backward;
    private OuterSchedule outer;

    Schedules(int batch, int[] inputIdx, int[] outputIdx, int iBlocks, int oBlocks) {
      this.batch = batch;
      this.inputIdx = inputIdx;
      this.outputIdx = outputIdx;
      this.iBlocks = iBlocks;
      this.oBlocks = oBlocks;
    }

    private void requireOpen() {
      if (closed) {
        throw new IllegalStateException("plan: the plan is closed");
      }
    }

    synchronized GemmSchedule forward(Lease lease) {
      requireOpen();
      if (forward == null) {
        forward = GemmSchedule.of(batch, outputIdx, oBlocks, inputIdx, iBlocks);
      }
      hold(forward.packed(), lease);
      return forward;
    }

    synchronized GemmSchedule backward(Lease lease) {
      requireOpen();
      if (backward == null) {
        backward = GemmSchedule.of(batch, inputIdx, iBlocks, outputIdx, oBlocks);
      }
      hold(backward.packed(), lease);
      return backward;
    }

    synchronized OuterSchedule outer(Lease lease) {
      requireOpen();
      if (outer == null) {
        outer = OuterSchedule.of(batch, inputIdx, iBlocks, outputIdx, oBlocks);
      }
      hold(outer.packed(), lease);
      return outer;
    }

    private static void hold(Storage packed, Lease lease) {
      if (!packed.acquire()) {
        throw new AssertionError("a schedule is closed only with its plan");
      }
      lease.adopt(packed);
    }

    synchronized void close() {
      closed = true;
      if (forward != null) {
        forward.close();
      }
      if (backward != null) {
        backward.close();
      }
      if (outer != null) {
        outer.close();
      }
    }
  }

  private final Schedules schedules;
  private final Workers workers;
  private final int iWin;
  private final int oWin;

  private BlockPlan(Schedules schedules, Workers workers, int iWin, int oWin) {
    this.schedules = schedules;
    this.workers = workers;
    this.iWin = iWin;
    this.oWin = oWin;
  }

  /**
   * The plan for a batch.
   *
   * @param inputIdx (batch, iWin): the input blocks that each sample selects, in [0, iBlocks);
   *     repeats are allowed and add up
   * @param outputIdx (batch, oWin): the output blocks that each sample selects, in [0, oBlocks)
   * @param iBlocks how many input blocks there are to select from
   * @param oBlocks how many output blocks there are to select from
   * @throws IllegalArgumentException if a shape does not fit, or if the batch has more than
   *     2<sup>29</sup> (sample, input block, output block)
   * @throws OutOfMemoryError if there is no room on the heap for sorting so many; the first
   *     operation with the plan may throw it as well
   * @throws IndexOutOfBoundsException if an index is negative or too large; Theano takes negative
   *     indices to count from the end, which we refuse
   * @throws IllegalStateException if a tensor is closed
   */
  public static BlockPlan of(IntTensor inputIdx, IntTensor outputIdx, int iBlocks, int oBlocks) {
    return of(inputIdx, "inputIdx", "iBlocks", iBlocks, outputIdx, "outputIdx", "oBlocks", oBlocks);
  }

  /** As above, for operations that have other names for their arguments. */
  static BlockPlan of(
      IntTensor inputIdx,
      String inputName,
      String iBlocksName,
      int iBlocks,
      IntTensor outputIdx,
      String outputName,
      String oBlocksName,
      int oBlocks) {
    StackRoom.require();
    Check.atLeast(0, iBlocksName, iBlocks);
    Check.atLeast(0, oBlocksName, oBlocks);
    Check.rank(inputName, inputIdx, "(batch, window)", 2);
    Check.rank(outputName, outputIdx, "(batch, window)", 2);
    int batch = (int) inputIdx.shape().dim(0);
    int iWin = (int) inputIdx.shape().dim(1);
    int oWin = (int) outputIdx.shape().dim(1);
    Check.shape(outputName, outputIdx, "(batch, window)", batch, oWin);
    requirePairs(batch, iWin, oWin);
    int[] inputs = inputIdx.toArray(inputName);
    int[] outputs = outputIdx.toArray(outputName);
    Check.indices(inputName, inputs, iWin, iBlocksName, iBlocks);
    Check.indices(outputName, outputs, oWin, oBlocksName, oBlocks);
    return new BlockPlan(
        new Schedules(batch, inputs, outputs, iBlocks, oBlocks), Workers.common(), iWin, oWin);
  }

  /** What the schedules count, and hold in one array, before memory is taken for any of it. */
  private static void requirePairs(long batch, long iWin, long oWin) {
    long rows = batch * Math.max(1, Math.max(iWin, oWin));
    long pairs = rows > MAX_PAIRS ? rows : batch * Math.max(1, iWin) * Math.max(1, oWin);
    if (pairs > MAX_PAIRS) {
      throw new IllegalArgumentException(
          "batch * iWin * oWin: "
              + pairs
              + " pairs of rows and blocks are more than the 2^29 that one plan can hold, in "
              + 8L * MAX_PAIRS
              + " bytes for each schedule; split the batch");
    }
  }

  /**
   * The same plan, run by other workers. It shares the schedules of this one, and is closed with
   * it.
   */
  public BlockPlan on(Workers other) {
    return new BlockPlan(schedules, requireNonNull(other, "workers"), iWin, oWin);
  }

  /** The number of samples. */
  public int batch() {
    return schedules.batch;
  }

  /** The number of input blocks that each sample selects. */
  public int iWin() {
    return iWin;
  }

  /** The number of output blocks that each sample selects. */
  public int oWin() {
    return oWin;
  }

  /** The number of input blocks to select from. */
  public int iBlocks() {
    return schedules.iBlocks;
  }

  /** The number of output blocks to select from. */
  public int oBlocks() {
    return schedules.oBlocks;
  }

  /** Frees the schedules as soon as no operation uses them. Idempotent. */
  @Override
  public void close() {
    schedules.close();
  }

  /** The weights have the blocks that this plan selects from. */
  void requireFits(FloatTensor W) {
    Check.rank("W", W, WEIGHTS, 4);
    Check.shape("W", W, WEIGHTS, iBlocks(), oBlocks(), W.shape().dim(2), W.shape().dim(3));
  }

  void requireFits(Weights W) {
    Shape shape = requireNonNull(W, "W").shape();
    Shape expected = Shape.of(iBlocks(), oBlocks(), shape.dim(2), shape.dim(3));
    if (!shape.equals(expected)) {
      throw new IllegalArgumentException(
          "W: expected " + WEIGHTS + " = " + expected + " but was " + shape);
    }
  }

  /** The schedule of forward products, held by the lease. */
  GemmSchedule forward(Lease lease) {
    return schedules.forward(lease);
  }

  /** The schedule of gradients with respect to the input, held by the lease. */
  GemmSchedule backward(Lease lease) {
    return schedules.backward(lease);
  }

  /** The schedule of outer products, held by the lease. */
  OuterSchedule outer(Lease lease) {
    return schedules.outer(lease);
  }

  Workers workers() {
    return workers;
  }

  @Override
  public String toString() {
    return "BlockPlan(batch = "
        + batch()
        + ", iWin = "
        + iWin
        + ", oWin = "
        + oWin
        + ", iBlocks = "
        + iBlocks()
        + ", oBlocks = "
        + oBlocks()
        + ")";
  }
}
