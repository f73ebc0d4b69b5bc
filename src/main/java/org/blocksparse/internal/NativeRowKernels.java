// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import static org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_gradient_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_binary_cross_entropy_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_cross_entropy_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_sigmoid_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_softmax_f32;

import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;
import org.blocksparse.internal.schedule.GemmSchedule;

/** The kernels of the native library that look at rows element by element. */
abstract class NativeRowKernels implements Kernels {
  final int isa;

  NativeRowKernels(int isa) {
    this.isa = isa;
  }

  @Override
  public void blockSoftmax(
      boolean logarithm,
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage scale,
      Rows c) {
    check(
        blocksparse_block_softmax_f32(
            isa,
            logarithm ? 1 : 0,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            n,
            writeBlocks(valid),
            address(valid),
            address(scale),
            c.address(),
            c.count(),
            c.stride()),
        "blocksparse_block_softmax_f32");
  }

  @Override
  public void blockCrossEntropy(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage target,
      Storage weights,
      float smoothing,
      Storage prior,
      Storage nll,
      Rows c) {
    check(
        blocksparse_block_cross_entropy_f32(
            isa,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            n,
            writeBlocks(valid),
            address(valid),
            address(target),
            address(weights),
            smoothing,
            address(prior),
            address(nll),
            c.address(),
            c.count(),
            c.stride()),
        "blocksparse_block_cross_entropy_f32");
  }

  @Override
  public void blockSigmoid(
      boolean logarithm,
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage scale,
      Rows c) {
    check(
        blocksparse_block_sigmoid_f32(
            isa,
            logarithm ? 1 : 0,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            n,
            writeBlocks(valid),
            address(valid),
            address(scale),
            c.address(),
            c.count(),
            c.stride()),
        "blocksparse_block_sigmoid_f32");
  }

  @Override
  public void blockBinaryCrossEntropy(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Bags positives,
      Storage weights,
      Storage loss,
      Rows c) {
    check(
        blocksparse_block_binary_cross_entropy_f32(
            isa,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            n,
            writeBlocks(valid),
            address(valid),
            positives.offsets().address(),
            positives.indices().address(),
            positives.entries(),
            address(weights),
            address(loss),
            c.address(),
            c.count(),
            c.stride()),
        "blocksparse_block_binary_cross_entropy_f32");
  }

  @Override
  public void activation(RowSelection rows, ActivationInput input, Rows a) {
    check(
        blocksparse_activation_f32(
            isa,
            input.function().number(),
            rows.schedule() == null ? 0 : rows.schedule().packed().address(0),
            rows.schedule() == null ? 0 : rows.schedule().length(),
            rows.begin(),
            rows.end(),
            rows.columnBegin(),
            rows.columnEnd(),
            input.n(),
            input.z().address(),
            input.z().stride(),
            address(input.gate()),
            a.address(),
            a.stride(),
            a.count()),
        "blocksparse_activation_f32");
  }

  @Override
  public void activationGradient(
      RowSelection rows,
      ActivationInput input,
      float alpha,
      Rows gradA,
      boolean accumulate,
      Rows gradZ,
      Storage gradGate) {
    check(
        blocksparse_activation_gradient_f32(
            isa,
            input.function().number(),
            rows.schedule() == null ? 0 : rows.schedule().packed().address(0),
            rows.schedule() == null ? 0 : rows.schedule().length(),
            rows.begin(),
            rows.end(),
            rows.columnBegin(),
            rows.columnEnd(),
            input.n(),
            input.z().address(),
            input.z().stride(),
            address(input.gate()),
            alpha,
            gradA.address(),
            gradA.stride(),
            accumulate ? 1 : 0,
            gradZ.address(),
            gradZ.stride(),
            address(gradGate),
            gradA.count()),
        "blocksparse_activation_gradient_f32");
  }

  /** Without counts of valid elements, native code does not look at the number of blocks. */
  private static int writeBlocks(Storage valid) {
    return valid == null ? Integer.MAX_VALUE : Math.toIntExact(valid.elements());
  }

  static long address(Storage storage) {
    return storage == null ? 0 : storage.address(0);
  }

  static void check(int status, String function) {
    if (status != 0) {
      throw new IllegalStateException(
          function
              + " refused its operands: "
              + NativeMemory.text(Blocksparse.blocksparse_status_name(status))
              + ". The checks above it should have; please report this as a bug of blocksparse.");
    }
  }
}
