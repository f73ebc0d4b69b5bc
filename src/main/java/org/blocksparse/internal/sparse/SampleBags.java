// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.sparse;

import java.util.Locale;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.SampleWindows;

/**
 * The selection of each sample of a plan, as bags: its input blocks, and the rows of its outputs. A
 * bias of input blocks is a table whose rows are added up by the first, and its gradient is made of
 * the sums of the second.
 */
public final class SampleBags implements AutoCloseable {
  private final int samples;
  private final int inputs;
  private final int outputs;
  private final boolean oneOutputEach;

  /** Offsets and blocks of the inputs, then offsets and rows of the outputs. */
  private final Storage memory;

  private SampleBags(SampleWindows inputs, SampleWindows outputs) {
    this.samples = inputs.batch();
    this.inputs = inputs.elements();
    this.outputs = outputs.elements();
    int[] packed = new int[length(samples, this.inputs, this.outputs)];
    int outputOffsets = samples + 1 + this.inputs;
    boolean one = true;
    for (int s = 0; s < samples; s++) {
      packed[s + 1] = inputs.end(s);
      packed[outputOffsets + s + 1] = outputs.end(s);
      one &= outputs.end(s) == s + 1;
    }
    System.arraycopy(inputs.blocks(), 0, packed, samples + 1, this.inputs);
    for (int row = 0; row < this.outputs; row++) {
      packed[outputOffsets + samples + 1 + row] = row;
    }
    this.oneOutputEach = one;
    this.memory = Storage.allocate(packed.length);
    memory.putInts(0, packed, 0, packed.length);
  }

  /**
   * Returns the elements of a packed array.
   *
   * @throws IllegalArgumentException if it is too long for one
   */
  static int length(int samples, int inputs, int outputs) {
    return GemmSchedule.arrayLength(
        2 * (samples + 1L) + inputs + outputs,
        () ->
            String.format(
                Locale.ROOT, "%d samples of %d inputs and %d outputs", samples, inputs, outputs));
  }

  /**
   * Returns the bags of a plan.
   *
   * @throws IllegalArgumentException if they are too long for an array
   */
  public static SampleBags of(SampleWindows inputs, SampleWindows outputs) {
    return new SampleBags(inputs, outputs);
  }

  /** Returns the memory of the bags. */
  public Storage memory() {
    return memory;
  }

  /** Returns whether row s of the output is the only one of sample s. */
  public boolean oneOutputEach() {
    return oneOutputEach;
  }

  /**
   * Returns the input blocks that each sample selects.
   *
   * @param factors one for each of them, or null: 1
   */
  public Bags inputs(Storage factors) {
    return new Bags(
        samples,
        new Slice(memory, 0),
        new Slice(memory, samples + 1L),
        factors == null ? null : new Slice(factors, 0),
        inputs);
  }

  /** Returns the rows of the outputs of each sample. */
  public Bags outputs() {
    long begin = samples + 1L + inputs;
    return new Bags(
        samples, new Slice(memory, begin), new Slice(memory, begin + samples + 1), null, outputs);
  }

  @Override
  public void close() {
    memory.close();
  }
}
