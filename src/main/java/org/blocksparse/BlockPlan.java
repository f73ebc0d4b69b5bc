// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.function.Supplier;
import org.blocksparse.internal.memory.HeapRoom;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.SampleBags;
import org.blocksparse.internal.schedule.SampleWindows;

/**
 * The blocks that each sample of a batch selects: pairs (row, block), sorted by block, so that a
 * block is read once for all rows that need it. All samples select the same number of blocks, or,
 * in a ragged plan, each its own.
 *
 * <p>Operations on index tensors make a plan for one call. To use the same indices again (forward
 * and backward, or several layers), make the plan once and pass it. The indices are copied.
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

  /** Of the heap, while a schedule is made. */
  private static final long BYTES_PER_PAIR = 12;

  /** The schedules of plans that differ only in how they run. */
  private static final class SharedSchedules {
    private final SampleWindows inputs;
    private final SampleWindows outputs;
    private final int iBlocks;
    private final int oBlocks;
    private final long pairs;
    private boolean closed;
    private GemmSchedule forward;
    private GemmSchedule backward;
    private OuterSchedule outer;
    private SampleBags samples;

    SharedSchedules(
        SampleWindows inputs, SampleWindows outputs, int iBlocks, int oBlocks, long pairs) {
      this.inputs = inputs;
      this.outputs = outputs;
      this.iBlocks = iBlocks;
      this.oBlocks = oBlocks;
      this.pairs = pairs;
    }

    /** A schedule that is made now. */
    private <T> T made(Supplier<T> maker) {
      requireOpen();
      try {
        return maker.get();
      } catch (OutOfMemoryError e) {
        throw HeapRoom.named(
            e, BYTES_PER_PAIR * pairs, "sorting " + pairs + " pairs of rows and blocks");
      }
    }

    private void requireOpen() {
      if (closed) {
        throw new IllegalStateException("plan: the plan is closed");
      }
    }

    synchronized GemmSchedule forward(Lease lease) {
      requireOpen();
      if (forward == null) {
        forward = made(() -> GemmSchedule.of(outputs, oBlocks, inputs, iBlocks));
      }
      hold(forward.packed(), lease);
      return forward;
    }

    synchronized GemmSchedule backward(Lease lease) {
      requireOpen();
      if (backward == null) {
        backward = made(() -> GemmSchedule.of(inputs, iBlocks, outputs, oBlocks));
      }
      hold(backward.packed(), lease);
      return backward;
    }

    synchronized OuterSchedule outer(Lease lease) {
      requireOpen();
      if (outer == null) {
        outer = made(() -> OuterSchedule.of(inputs, iBlocks, outputs, oBlocks));
      }
      hold(outer.packed(), lease);
      return outer;
    }

    synchronized SampleBags samples(Lease lease) {
      requireOpen();
      if (samples == null) {
        samples = made(() -> SampleBags.of(inputs, outputs));
      }
      hold(samples.memory(), lease);
      return samples;
    }

    private static void hold(Storage packed, Lease lease) {
      if (!lease.tryHold(packed)) {
        throw new AssertionError("a schedule is closed only with its plan");
      }
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
      if (samples != null) {
        samples.close();
      }
    }
  }

  private final SharedSchedules schedules;
  private final Workers workers;
  private final SelectedRows inputs;
  private final SelectedRows outputs;

  /** The type that forward products round h to, or null. */
  private final ElementType roundedInputs;

  private BlockPlan(
      SharedSchedules schedules, Workers workers, SelectedRows inputs, SelectedRows outputs) {
    this(schedules, workers, null, inputs, outputs);
  }

  private BlockPlan(
      SharedSchedules schedules,
      Workers workers,
      ElementType roundedInputs,
      SelectedRows inputs,
      SelectedRows outputs) {
    this.schedules = schedules;
    this.workers = workers;
    this.roundedInputs = roundedInputs;
    this.inputs = inputs;
    this.outputs = outputs;
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
   * @throws OutOfMemoryError if there is no room on the heap for sorting that many; the first
   *     operation with the plan may throw it as well
   * @throws IndexOutOfBoundsException if an index is negative or too large; Theano takes negative
   *     indices to count from the end, which we refuse
   * @throws IllegalStateException if a tensor is closed
   */
  public static BlockPlan of(IntTensor inputIdx, IntTensor outputIdx, int iBlocks, int oBlocks) {
    return of(inputIdx, "inputIdx", "iBlocks", iBlocks, outputIdx, "outputIdx", "oBlocks", oBlocks);
  }

  /**
   * The plan of a dense layer: each of {@code batch} samples has the only input block and the only
   * output block that there are.
   *
   * @throws IllegalArgumentException if batch is negative, or more than 2<sup>29</sup>
   * @throws OutOfMemoryError if there is no room on the heap for that many, naming the bytes; the
   *     first operation with the plan may throw it as well
   */
  public static BlockPlan dense(int batch) {
    Check.atLeast(0, "batch", batch);
    long pairs = requirePairs(batch, 1, 1);
    SampleWindows zeros;
    try {
      zeros = SampleWindows.equal(batch, new int[batch]);
    } catch (OutOfMemoryError e) {
      throw noRoom(e, batch);
    }
    return new BlockPlan(
        new SharedSchedules(zeros, zeros, 1, 1, pairs),
        Workers.common(),
        new SelectedRows("inputs", batch, 1, batch),
        new SelectedRows("outputs", batch, 1, batch));
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
    Check.atLeast(0, iBlocksName, iBlocks);
    Check.atLeast(0, oBlocksName, oBlocks);
    Check.rank(inputName, inputIdx, "(batch, window)", 2);
    Check.rank(outputName, outputIdx, "(batch, window)", 2);
    int batch = (int) inputIdx.shape().dim(0);
    int iWin = (int) inputIdx.shape().dim(1);
    int oWin = (int) outputIdx.shape().dim(1);
    Check.shape(outputName, outputIdx, "(batch, window)", batch, oWin);
    long pairs = requirePairs(batch, iWin, oWin);
    int[] inputs;
    int[] outputs;
    try {
      inputs = inputIdx.toArray(inputName);
      outputs = outputIdx.toArray(outputName);
    } catch (OutOfMemoryError e) {
      throw noRoom(e, inputIdx.shape().size() + outputIdx.shape().size());
    }
    Check.indices(inputName, inputs, iWin, iBlocksName, iBlocks);
    Check.indices(outputName, outputs, oWin, oBlocksName, oBlocks);
    return new BlockPlan(
        new SharedSchedules(
            SampleWindows.equal(batch, inputs),
            SampleWindows.equal(batch, outputs),
            iBlocks,
            oBlocks,
            pairs),
        Workers.common(),
        new SelectedRows("inputs", batch, iWin, inputs.length),
        new SelectedRows("outputs", batch, oWin, outputs.length));
  }

  /**
   * The plan for a batch in which each sample selects its own number of blocks: a ragged plan. The
   * rows of h, and all else that has a row for each input block, then have the shape (entries of
   * inputs, iSize), in the order of the entries; those of the output are (entries of outputs,
   * oSize). A sample may select no input, and its outputs are then the bias or what they were; or
   * no output. Where all samples select as many, results have the bits of the plan made from
   * tensors.
   *
   * @param inputs the input blocks that each sample selects, in [0, iBlocks), without values;
   *     repeats are allowed and add up
   * @param outputs the output blocks that each sample selects, in [0, oBlocks), without values
   * @param iBlocks how many input blocks there are to select from
   * @param oBlocks how many output blocks there are to select from
   * @throws IllegalArgumentException if the numbers of rows differ, if there are values, or if the
   *     batch has more than 2<sup>29</sup> (sample, input block, output block), where a sample
   *     without input or output counts as if it had one
   * @throws OutOfMemoryError if there is no room on the heap for sorting that many; the first
   *     operation with the plan may throw it as well
   * @throws IndexOutOfBoundsException if an index is too large
   * @throws IllegalStateException if rows are closed
   */
  public static BlockPlan of(SparseRows inputs, SparseRows outputs, int iBlocks, int oBlocks) {
    Check.atLeast(0, "iBlocks", iBlocks);
    Check.atLeast(0, "oBlocks", oBlocks);
    requireUnweighted("inputs", inputs);
    requireUnweighted("outputs", outputs);
    if (inputs.rows() != outputs.rows()) {
      throw new IllegalArgumentException(
          "outputs: expected "
              + inputs.rows()
              + " rows, as inputs have, but was "
              + outputs.rows());
    }
    requirePairs(Math.max(inputs.rows(), Math.max(inputs.entries(), outputs.entries())));
    try (Lease lease = outputs.lease(inputs.lease(new Lease(), "inputs"), "outputs")) {
      inputs.requireIndices("inputs", "iBlocks", iBlocks);
      outputs.requireIndices("outputs", "oBlocks", oBlocks);
      int[] inputBegins = inputs.offsets();
      int[] outputBegins = outputs.offsets();
      long pairs = pairs(inputBegins, outputBegins);
      requirePairs(pairs);
      return new BlockPlan(
          new SharedSchedules(
              SampleWindows.ragged(inputBegins, inputs.indices()),
              SampleWindows.ragged(outputBegins, outputs.indices()),
              iBlocks,
              oBlocks,
              pairs),
          Workers.common(),
          new SelectedRows("inputs", inputs.rows(), SelectedRows.RAGGED, inputs.entries()),
          new SelectedRows("outputs", outputs.rows(), SelectedRows.RAGGED, outputs.entries()));
    } catch (OutOfMemoryError e) {
      throw noRoom(e, 2L * (inputs.rows() + (long) inputs.entries() + outputs.entries()));
    }
  }

  private static void requireUnweighted(String name, SparseRows rows) {
    if (requireNonNull(rows, name).isWeighted()) {
      throw new IllegalArgumentException(name + ": expected rows without values but was " + rows);
    }
  }

  /** Checks the size of the schedules before memory is taken for any of them. */
  private static long requirePairs(long batch, long iWin, long oWin) {
    long rows = batch * Math.max(1, Math.max(iWin, oWin));
    long pairs = rows > MAX_PAIRS ? rows : batch * Math.max(1, iWin) * Math.max(1, oWin);
    requirePairs("batch * iWin * oWin: ", pairs);
    return pairs;
  }

  private static OutOfMemoryError noRoom(OutOfMemoryError error, long numbers) {
    return HeapRoom.named(error, Integer.BYTES * numbers, "the blocks that samples select");
  }

  /** A sample without input has pairs all the same, as its outputs are written, and vice versa. */
  private static long pairs(int[] inputBegins, int[] outputBegins) {
    long pairs = 0;
    for (int s = 0; s + 1 < inputBegins.length; s++) {
      long inputs = (long) inputBegins[s + 1] - inputBegins[s];
      long outputs = (long) outputBegins[s + 1] - outputBegins[s];
      pairs += Math.max(1, inputs) * Math.max(1, outputs);
    }
    return pairs;
  }

  private static void requirePairs(long pairs) {
    requirePairs("inputs, outputs: ", pairs);
  }

  private static void requirePairs(String what, long pairs) {
    if (pairs > MAX_PAIRS) {
      throw new IllegalArgumentException(
          what
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
  public BlockPlan withWorkers(Workers other) {
    return new BlockPlan(
        schedules, requireNonNull(other, "workers"), roundedInputs, inputs, outputs);
  }

  /**
   * The same plan, whose forward products round h: less precise, and faster where arithmetic is the
   * limit. It shares the schedules of this one, and is closed with it. Forward products are those
   * of {@link SparseBlockDot} and {@link SparseBlockGemv} that read h; gradients, steps and what an
   * {@link Epilogue} adds are computed as by any plan. The bits are the same for any number of
   * workers.
   *
   * <p>To {@link ElementType#INT8}: for packed {@link Weights} alone, which are multiplied in no
   * other way. With m the largest magnitude of 32 elements of a row of h that follow each other
   * from a multiple of 32 on, or 2<sup>-119</sup> if that is more, each of these becomes the
   * nearest whole multiple of m / 127: it is off by at most m / 253.9. If one of them is NaN or
   * infinite, all outputs of the row are NaN. Products of such multiples with those that the
   * weights are of their scales are exact as whole numbers, for each 32; what is made of them is
   * float. So the error of each element, from h as it was and the weights as they are stored, is at
   * most
   *
   * <pre>{@code
   * M / 253.9  +  1.01 * (g + iWin + 1) * 2^-24 * (|s| + M)  +  iWin * g * 2^-131
   * }</pre>
   *
   * <p>with M = sum m |W| over all products, g = iSize / 32, rounded up, and s what they are added
   * to; g + iWin is less than 2<sup>16</sup>. The bits are those of all processors, and of Java.
   *
   * <p>To {@link ElementType#BFLOAT16}, 8 bits of precision: for {@link Weights} of that type
   * alone, and faster where the processor has AMX, or is AMD's and has AVX512-BF16. Each element of
   * h becomes the nearest bfloat16, of two the even one: it is off by at most 2<sup>-8</sup> of its
   * magnitude. NaN stays NaN; magnitudes of 2<sup>128</sup> - 2<sup>119</sup> and more become
   * infinite. The product of two bfloat16 is a float, exactly, and sums are floats. So the error of
   * each element is at most
   *
   * <pre>{@code
   * 2^-8 * S  +  1.01 * k * 2^-24 * (|s| + S)  +  2^-126 * sum (2 + |h| + |W|)
   * }</pre>
   *
   * <p>with S = sum |h| |W| over the k = iWin * iSize products, at most 2<sup>16</sup>. The last
   * part is for numbers below 2<sup>-126</sup> in h, W and sums, which a processor may take for 0.
   * The bits differ between processors, of one instruction set too. AMX and AVX512-BF16 serve
   * blocks with 12 rows or more; AMX under Linux. The first such product asks the system for AMX's
   * registers, which the process then has for good: signals may take 8 KB more of a stack from then
   * on. Elsewhere, and if the system refuses, rounded floats are multiplied as floats are, and
   * nothing is gained.
   *
   * @param type BFLOAT16 or INT8; a product with other weights than its own throws {@link
   *     IllegalArgumentException}
   * @throws IllegalArgumentException if it is another type
   */
  public BlockPlan withRoundedInputs(ElementType type) {
    requireNonNull(type, "type");
    if (type != ElementType.BFLOAT16 && type != ElementType.INT8) {
      throw new IllegalArgumentException("type: expected BFLOAT16 or INT8 but was " + type);
    }
    return new BlockPlan(schedules, workers, type, inputs, outputs);
  }

  /** The number of samples. */
  public int batch() {
    return inputs.batch();
  }

  /** Whether each sample selects its own number of blocks. */
  boolean isRagged() {
    return inputs.isRagged();
  }

  /** The number of input blocks that all samples select together: the rows of h. */
  public int inputRows() {
    return inputs.count();
  }

  /** The number of output blocks that all samples select together: the rows of the output. */
  public int outputRows() {
    return outputs.count();
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
  void requireFits(BlockMatrix W) {
    requireFits("W", W);
  }

  /** As above, for what has the shape of the weights and another name. */
  void requireFits(String name, BlockMatrix W) {
    Shape shape = Check.blocks(name, W);
    Check.shape(name, shape, Check.WEIGHTS, iBlocks(), oBlocks(), shape.dim(2), shape.dim(3));
  }

  /** The rows that belong to the input blocks selected. */
  SelectedRows inputs() {
    return inputs;
  }

  /** The rows that belong to the output blocks selected. */
  SelectedRows outputs() {
    return outputs;
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

  /** The blocks that each sample selects, as bags, held by the lease. */
  SampleBags samples(Lease lease) {
    return schedules.samples(lease);
  }

  Workers workers() {
    return workers;
  }

  /** The type that forward products round h to, or null. */
  ElementType roundedInputs() {
    return roundedInputs;
  }

  @Override
  public String toString() {
    return "BlockPlan(batch = "
        + batch()
        + (isRagged() ? ", inputRows = " + inputRows() : ", iWin = " + inputs.window())
        + (isRagged() ? ", outputRows = " + outputRows() : ", oWin = " + outputs.window())
        + ", iBlocks = "
        + iBlocks()
        + ", oBlocks = "
        + oBlocks()
        + (roundedInputs == null ? "" : ", inputs rounded to " + roundedInputs)
        + ")";
  }
}
