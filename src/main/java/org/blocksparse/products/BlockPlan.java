// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.schedule.SampleWindows;
import org.blocksparse.internal.sparse.SampleBags;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.weights.RowFormat;

/**
 * The blocks that each sample of a batch selects: pairs (row, block), sorted by block, so that a
 * block is read once for all rows that need it. All samples select the same number of blocks, or,
 * in a ragged plan, a different number each.
 *
 * <p>An operation that takes index tensors makes a plan for one call. To use the same indices again
 * (forward and backward, or several layers), make the plan once and pass it. The indices are
 * copied.
 *
 * <p>A plan holds three schedules, each made at first use: for products (forward), for gradients
 * with respect to the input, and for outer products (gradients with respect to W). Each takes about
 * 12 bytes for every triple (sample, input block, output block).
 *
 * <p><b>Rounding of h.</b> Forward products round their input h to suit W, if W is {@link
 * org.blocksparse.Weights} of one of the types below; {@link #withInputBits} has other bits.
 * Forward products are those of {@link SparseBlockDot} and {@link SparseBlockGemv} that read h.
 * Products with other W, gradients, steps and the terms of an {@link Epilogue} do not round.
 * Results are bitwise identical for any number of workers.
 *
 * <table>
 *   <caption>Bits that are kept of each number of h</caption>
 *   <tr><th>W</th><th>bits</th><th>others</th></tr>
 *   <tr><td>floats, FLOAT16, transposed views</td><td>32</td><td></td></tr>
 *   <tr><td>BFLOAT16</td><td>16, a bfloat16</td><td>32</td></tr>
 *   <tr><td>PACKED_BFLOAT16</td><td>16, a bfloat16</td><td></td></tr>
 *   <tr><td>INT8</td><td>8, a scale for each row</td><td>16, a scale for each row</td></tr>
 *   <tr><td>other packed types</td><td>8, a scale for each 32 elements of a row</td><td></td></tr>
 * </table>
 *
 * <p>For <b>packed weights of integers</b>, let m be the largest magnitude of the elements of h
 * that share a scale, or 2<sup>-119</sup> (with 16 bits 2<sup>-111</sup>) if that is larger. Each
 * element is rounded to the nearest integer multiple of m / t, where t is 127, or with 16 bits
 * 32384. If an element is NaN or infinite, all outputs of the row are NaN. Integer products and
 * their sums are exact, within 32 elements or, of INT8, within 65,536. Scaling and all further sums
 * are float32. Relative to the unrounded h and the stored weights, the error of each output element
 * is at most
 *
 * <pre>{@code
 * r M  +  1.01 * (g + iWin + 4) * 2^-24 * (|s| + M)  +  iWin * g * 2^-131
 * }</pre>
 *
 * <p>where r is 1 / 253.9, or with 16 bits 1 / 64000; M = sum m |W| over all products, g =
 * ceil(iSize / 32), and s is the initial value (bias or previous output). For Q6_K and the types
 * with a minimum (Q4_K, Q5_K, Q5_1), 2 g replaces g, for Q2_K 4 g; for types with a minimum, the
 * second M takes |scale integer| + |minimum| of each weight instead of |W|. The bound holds if g +
 * iWin is less than 2<sup>16</sup>. Results are bitwise identical on all processors, and for the
 * Java kernels.
 *
 * <p>For <b>{@link ElementType#BFLOAT16}</b> (8 bits of precision) that is no transposed view, and
 * for <b>{@link ElementType#PACKED_BFLOAT16}</b>, each element of h is rounded to the nearest
 * bfloat16, ties to even: its relative error is at most 2<sup>-8</sup>. NaN stays NaN; magnitudes
 * of 2<sup>128</sup> - 2<sup>119</sup> and more become infinite. A product of two bfloat16 values
 * is exact in float32. Sums are float32. The error of each output element is at most
 *
 * <pre>{@code
 * 2^-8 * S  +  1.01 * k * 2^-24 * (|s| + S)  +  2^-126 * sum (2 + |h| + |W|)
 * }</pre>
 *
 * <p>where k = iWin * iSize, and S = sum |h| |W| over these k products. The bound holds if k is at
 * most 2<sup>16</sup>. The last term covers subnormal values in h, W and sums, which a processor
 * may flush to zero. Results may differ between processors, even with the same instruction set. On
 * Linux, AMX multiplies blocks with at least 12 rows and, if the weights are packed, with at least
 * 16 rows that follow each other in h. On AMD, AVX512-BF16 multiplies blocks with at least 8 rows
 * and, if the weights are packed, with any rows. Elsewhere, the rounded values are multiplied as
 * float32, which is no faster.
 *
 * <p>On a processor with AMX, the first product that rounds h, or {@link
 * org.blocksparse.Backend#describe}, requests the AMX registers from the Linux kernel, for the
 * whole life of the process. Each signal frame may then need 8 KB more stack. If the Linux kernel
 * refuses, AVX-512 multiplies.
 *
 * <p>Safe for use by any number of threads. {@link #close} works as for tensors. The garbage
 * collector frees a plan that is never closed.
 */
public final class BlockPlan implements AutoCloseable {
  /**
   * The maximum number of pairs of a plan. A schedule stores two ints per pair: 2^29 pairs fill
   * half of the largest Java array, and leave the other half for the rest of the schedule.
   */
  private static final int MAX_PAIRS = 1 << 29;

  /** The schedules of a plan. A copy with other workers or input bits shares them. */
  private static final class SharedSchedules {
    private final SampleWindows inputs;
    private final SampleWindows outputs;
    private final int iBlocks;
    private final int oBlocks;
    private boolean closed;
    private GemmSchedule forward;
    private GemmSchedule backward;
    private OuterSchedule outer;
    private SampleBags samples;

    SharedSchedules(SampleWindows inputs, SampleWindows outputs, int iBlocks, int oBlocks) {
      this.inputs = inputs;
      this.outputs = outputs;
      this.iBlocks = iBlocks;
      this.oBlocks = oBlocks;
    }

    private void requireOpen() {
      if (closed) {
        throw new IllegalStateException("plan: the plan is closed");
      }
    }

    synchronized GemmSchedule forward(OperandLease lease) {
      requireOpen();
      if (forward == null) {
        forward = GemmSchedule.of(outputs, oBlocks, inputs, iBlocks);
      }
      hold(forward.packed(), lease);
      return forward;
    }

    synchronized GemmSchedule backward(OperandLease lease) {
      requireOpen();
      if (backward == null) {
        backward = GemmSchedule.of(inputs, iBlocks, outputs, oBlocks);
      }
      hold(backward.packed(), lease);
      return backward;
    }

    synchronized OuterSchedule outer(OperandLease lease) {
      requireOpen();
      if (outer == null) {
        outer = OuterSchedule.of(inputs, iBlocks, outputs, oBlocks);
      }
      hold(outer.packed(), lease);
      return outer;
    }

    synchronized SampleBags samples(OperandLease lease) {
      requireOpen();
      if (samples == null) {
        samples = SampleBags.of(inputs, outputs);
      }
      hold(samples.memory(), lease);
      return samples;
    }

    private static void hold(Storage packed, OperandLease lease) {
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

  /**
   * The bits of inputs of forward products; {@link RowFormat#ANY_BITS}: those that the type of W
   * requires.
   */
  private final int inputBits;

  private BlockPlan(
      SharedSchedules schedules, Workers workers, SelectedRows inputs, SelectedRows outputs) {
    this(schedules, workers, RowFormat.ANY_BITS, inputs, outputs);
  }

  private BlockPlan(
      SharedSchedules schedules,
      Workers workers,
      int inputBits,
      SelectedRows inputs,
      SelectedRows outputs) {
    this.schedules = schedules;
    this.workers = workers;
    this.inputBits = inputBits;
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /**
   * Returns the plan for a batch.
   *
   * @param inputIdx (batch, iWin): the input blocks that each sample selects, in [0, iBlocks);
   *     repeats are allowed and add up
   * @param outputIdx (batch, oWin): the output blocks that each sample selects, in [0, oBlocks)
   * @param iBlocks how many input blocks there are to select from
   * @param oBlocks how many output blocks there are to select from
   * @throws IllegalArgumentException if a shape does not fit, or if the batch has more than
   *     2<sup>29</sup> triples (sample, input block, output block)
   * @throws IndexOutOfBoundsException if an index is negative or too large; unlike in Theano, a
   *     negative index does not count from the end
   * @throws IllegalStateException if a tensor is closed
   */
  public static BlockPlan of(IntTensor inputIdx, IntTensor outputIdx, int iBlocks, int oBlocks) {
    return of(inputIdx, "inputIdx", "iBlocks", iBlocks, outputIdx, "outputIdx", "oBlocks", oBlocks);
  }

  /**
   * Returns the plan of a dense layer: there is one input block and one output block, and each of
   * {@code batch} samples selects both.
   *
   * @throws IllegalArgumentException if batch is negative, or more than 2<sup>29</sup>
   */
  public static BlockPlan dense(int batch) {
    Check.atLeast(0, "batch", batch);
    requirePairs(batch, 1, 1);
    SampleWindows zeros = SampleWindows.equal(batch, new int[batch]);
    return new BlockPlan(
        new SharedSchedules(zeros, zeros, 1, 1),
        Workers.common(),
        new SelectedRows("inputs", batch, 1, batch),
        new SelectedRows("outputs", batch, 1, batch));
  }

  /** Returns the plan for a batch, for operations whose arguments have other names. */
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
    requirePairs(batch, iWin, oWin);
    int[] inputs = DenseInts.from(inputIdx).toArray(inputName);
    int[] outputs = DenseInts.from(outputIdx).toArray(outputName);
    Check.indices(inputName, inputs, iWin, iBlocksName, iBlocks);
    Check.indices(outputName, outputs, oWin, oBlocksName, oBlocks);
    return new BlockPlan(
        new SharedSchedules(
            SampleWindows.equal(batch, inputs),
            SampleWindows.equal(batch, outputs),
            iBlocks,
            oBlocks),
        Workers.common(),
        new SelectedRows("inputs", batch, iWin, inputs.length),
        new SelectedRows("outputs", batch, oWin, outputs.length));
  }

  /**
   * Returns the plan for a batch in which each sample selects its own number of blocks: a ragged
   * plan. The input h then has the shape (entries of inputs, iSize), in the order of the entries.
   * So has every other tensor with a row for each selected input block. The output has the shape
   * (entries of outputs, oSize). A sample may select no output blocks. If it selects no input
   * blocks, its outputs are the bias, or remain unchanged when a product is added to them. If all
   * samples select equally many blocks, results are bitwise equal to those of a plan from index
   * tensors.
   *
   * @param inputs the input blocks that each sample selects, in [0, iBlocks), without values;
   *     repeats are allowed and add up
   * @param outputs the output blocks that each sample selects, in [0, oBlocks), without values
   * @param iBlocks how many input blocks there are to select from
   * @param oBlocks how many output blocks there are to select from
   * @throws IllegalArgumentException if the numbers of rows differ, if there are values, or if the
   *     batch has more than 2<sup>29</sup> triples (sample, input block, output block); a sample
   *     without input or output blocks counts as if it had one
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
    requirePairs(inputs.rows()); // before their offsets are copied
    try (OperandLease lease =
        CsrRows.from(outputs)
            .lease(CsrRows.from(inputs).lease(new OperandLease(), "inputs"), "outputs")) {
      CsrRows.from(inputs).requireIndices("inputs", "iBlocks", iBlocks);
      CsrRows.from(outputs).requireIndices("outputs", "oBlocks", oBlocks);
      int[] inputBegins = CsrRows.from(inputs).offsets();
      int[] outputBegins = CsrRows.from(outputs).offsets();
      requirePairs(pairs(inputBegins, outputBegins));
      return new BlockPlan(
          new SharedSchedules(
              SampleWindows.ragged(inputBegins, CsrRows.from(inputs).indices()),
              SampleWindows.ragged(outputBegins, CsrRows.from(outputs).indices()),
              iBlocks,
              oBlocks),
          Workers.common(),
          new SelectedRows("inputs", inputs.rows(), SelectedRows.RAGGED, inputs.entries()),
          new SelectedRows("outputs", outputs.rows(), SelectedRows.RAGGED, outputs.entries()));
    }
  }

  private static void requireUnweighted(String name, SparseRows rows) {
    if (requireNonNull(rows, name).isWeighted()) {
      throw new IllegalArgumentException(name + ": expected rows without values but was " + rows);
    }
  }

  /** Checks the size of the schedules before memory is taken for any of them. */
  private static void requirePairs(long batch, long iWin, long oWin) {
    long rows = batch * Math.max(1, Math.max(iWin, oWin));
    long pairs = rows > MAX_PAIRS ? rows : batch * Math.max(1, iWin) * Math.max(1, oWin);
    requirePairs("batch * iWin * oWin: ", pairs);
  }

  /**
   * Returns the number of pairs. A sample without input blocks still has pairs, because its outputs
   * are written. So does a sample without output blocks, because the gradients of its inputs are
   * written.
   */
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
   * Returns this plan, run by other workers. It shares the schedules of this one, and is closed
   * with it.
   */
  public BlockPlan withWorkers(Workers other) {
    return new BlockPlan(schedules, requireNonNull(other, "workers"), inputBits, inputs, outputs);
  }

  /**
   * Returns the same plan, whose forward products keep so many bits of each number of h instead of
   * those that the type of W asks for. It shares the schedules of this one, and is closed with it.
   * A product whose W does not have so many throws {@link IllegalArgumentException}.
   *
   * @param bits 32: not rounded, for types that are not packed; 16 or 8, as in the table above
   * @throws IllegalArgumentException if the bits are not one of these
   */
  public BlockPlan withInputBits(int bits) {
    if (bits != 8 && bits != 16 && bits != 32) {
      throw new IllegalArgumentException("bits: expected 8, 16 or 32 but was " + bits);
    }
    return new BlockPlan(schedules, workers, bits, inputs, outputs);
  }

  /** Returns the number of samples. */
  public int batch() {
    return inputs.batch();
  }

  /** Returns whether each sample selects its own number of blocks. */
  boolean isRagged() {
    return inputs.isRagged();
  }

  /** Returns the total number of input blocks that the samples select: the rows of h. */
  public int inputRows() {
    return inputs.count();
  }

  /** Returns the total number of output blocks that the samples select: the rows of the output. */
  public int outputRows() {
    return outputs.count();
  }

  /** Returns the shape of h: (batch, iWin, size); with a ragged plan (inputRows, size). */
  public Shape inputShape(long size) {
    return inputs.shape(size);
  }

  /**
   * Returns the shape of the output: (batch, oWin, size); with a ragged plan (outputRows, size).
   */
  public Shape outputShape(long size) {
    return outputs.shape(size);
  }

  /** Returns the number of input blocks to select from. */
  public int iBlocks() {
    return schedules.iBlocks;
  }

  /** Returns the number of output blocks to select from. */
  public int oBlocks() {
    return schedules.oBlocks;
  }

  /** Frees the schedules as soon as no operation uses them. Idempotent. */
  @Override
  public void close() {
    schedules.close();
  }

  /** Checks that W has iBlocks x oBlocks blocks, as this plan expects. */
  void requireFits(BlockMatrix W) {
    requireFits("W", W);
  }

  /** Requires the same of another argument with the shape of W, such as gradW. */
  void requireFits(String name, BlockMatrix W) {
    Shape shape = Check.blocks(name, W);
    Check.shape(name, shape, Check.WEIGHTS, iBlocks(), oBlocks(), shape.dim(2), shape.dim(3));
  }

  /** Returns the rows that belong to the input blocks selected. */
  SelectedRows inputs() {
    return inputs;
  }

  /** Returns the rows that belong to the output blocks selected. */
  SelectedRows outputs() {
    return outputs;
  }

  /** Returns the schedule of forward products, held by the lease. */
  GemmSchedule forward(OperandLease lease) {
    return schedules.forward(lease);
  }

  /** Returns the schedule of gradients with respect to the input, held by the lease. */
  GemmSchedule backward(OperandLease lease) {
    return schedules.backward(lease);
  }

  /** Returns the schedule of outer products, held by the lease. */
  OuterSchedule outer(OperandLease lease) {
    return schedules.outer(lease);
  }

  /** Returns the blocks that each sample selects, as bags, held by the lease. */
  SampleBags samples(OperandLease lease) {
    return schedules.samples(lease);
  }

  Workers workers() {
    return workers;
  }

  /** Returns the bits that forward products keep of h, or {@link RowFormat#ANY_BITS}. */
  int inputBits() {
    return inputBits;
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
        + (inputBits == RowFormat.ANY_BITS ? "" : ", inputs of " + inputBits + " bits")
        + ")";
  }
}
