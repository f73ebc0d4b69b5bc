// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_MEAN;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_ROOT_MEAN;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_SUM;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BLAS_BUFFER_BYTES;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_NO_MEMORY;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_gradient_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_dot_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_step_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_sum_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_binary_cross_entropy_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_cross_entropy_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_sigmoid_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_softmax_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_norm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_sparse_chunk_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_step_f32;

import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;

/** The kernels of the native library that work on rows, with one instruction set. */
record NativeRowKernels(int isa) implements RowKernels {
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

  @Override
  public float norm(long count, Storage x) {
    return blocksparse_norm_f32(isa, count, x.address(0));
  }

  @Override
  public void step(
      UpdateRule rule,
      long count,
      float scale,
      long number,
      Storage g,
      long gOffset,
      Storage w,
      long offset,
      Storage... moments) {
    check(
        blocksparse_step_f32(
            isa,
            rule.kind().code(),
            count,
            rule.rate(),
            scale,
            rule.decay(),
            rule.beta1(),
            rule.beta2(),
            rule.epsilon(),
            number,
            g.address(gOffset),
            moments.length < 1 ? 0 : moments[0].address(offset),
            moments.length < 2 ? 0 : moments[1].address(offset),
            w.address(offset)),
        "blocksparse_step_f32");
  }

  @Override
  public void bagSum(
      Bags.Reduction reduction, Bags bags, int begin, int end, int n, TableRows a, Rows c) {
    check(
        blocksparse_bag_sum_f32(
            isa,
            number(reduction),
            bags.offsets().address(),
            bags.count(),
            begin,
            end,
            bags.indices().address(),
            address(bags.values()),
            bags.entries(),
            n,
            a.type().code(),
            a.address(),
            a.count(),
            a.stride(),
            address(a.scales()),
            c.address(),
            c.stride()),
        "blocksparse_bag_sum_f32");
  }

  @Override
  public void sparseChunk(
      Bags bags, int bag, SparseChunks weights, int chunk, int firstOutput, int n, Storage c) {
    int begin = bags.offsets().getInt(bag);
    int count = bags.offsets().getInt(bag + 1L) - begin;
    Slice indices = bags.indices().from(begin);
    Slice values = bags.values() == null ? null : bags.values().from(begin);
    check(
        blocksparse_sparse_chunk_f32(
            indices.address(),
            address(values),
            count,
            weights.begins().address(0),
            weights.features(),
            weights.chunks().address(0),
            weights.starts().address(0),
            weights.rows(),
            weights.columns().address(0),
            weights.type().code(),
            weights.w().address(0),
            weights.entries(),
            chunk,
            weights.biases().address(firstOutput),
            n,
            c.address(0)),
        "blocksparse_sparse_chunk_f32");
  }

  @Override
  public void bagDot(
      Bags.Reduction reduction,
      Bags bags,
      int begin,
      int end,
      int n,
      TableRows a,
      Rows y,
      Storage dots) {
    check(
        blocksparse_bag_dot_f32(
            isa,
            number(reduction),
            bags.offsets().address(),
            bags.count(),
            begin,
            end,
            bags.indices().address(),
            bags.entries(),
            n,
            a.type().code(),
            a.address(),
            a.count(),
            a.stride(),
            address(a.scales()),
            y.address(),
            y.stride(),
            dots.address(0)),
        "blocksparse_bag_dot_f32");
  }

  @Override
  public void bagStep(
      UpdateRule rule,
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      Slice steps,
      Storage w,
      Storage... moments) {
    try (Scratch gradient = Scratch.borrow(n)) {
      check(
          blocksparse_bag_step_f32(
              isa,
              rule.kind().code(),
              bags.offsets().address(),
              bags.count(),
              begin,
              end,
              bags.indices().address(),
              address(bags.values()),
              bags.entries(),
              n,
              a.address(),
              a.count(),
              a.stride(),
              targets.address(),
              address(steps),
              rule.rate(),
              rule.decay(),
              rule.maxNorm(),
              rule.beta1(),
              rule.beta2(),
              rule.epsilon(),
              moments.length < 1 ? 0 : moments[0].address(0),
              moments.length < 2 ? 0 : moments[1].address(0),
              w.address(0),
              w.elements() / n,
              gradient.storage().address(0)),
          "blocksparse_bag_step_f32");
    }
  }

  private static int number(Bags.Reduction reduction) {
    return switch (reduction) {
      case SUM -> BLOCKSPARSE_BAG_SUM;
      case MEAN -> BLOCKSPARSE_BAG_MEAN;
      case ROOT_MEAN -> BLOCKSPARSE_BAG_ROOT_MEAN;
    };
  }

  private static long address(Slice slice) {
    return slice == null ? 0 : slice.address();
  }

  /** Without counts of valid elements, native code does not look at the number of blocks. */
  private static int writeBlocks(Storage valid) {
    return valid == null ? Integer.MAX_VALUE : Math.toIntExact(valid.elements());
  }

  private static long address(Storage storage) {
    return storage == null ? 0 : storage.address(0);
  }

  static void check(int status, String function) {
    if (status == BLOCKSPARSE_NO_MEMORY) {
      throw new OutOfMemoryError(
          "cannot allocate "
              + BLOCKSPARSE_BLAS_BUFFER_BYTES
              + " bytes for a buffer of OpenBLAS, which -Dblocksparse.path=blas asks for");
    }
    if (status != 0) {
      throw new IllegalStateException(
          function
              + " refused its operands: "
              + NativeMemory.text(Blocksparse.blocksparse_status_name(status))
              + ". The checks above it should have; please report this as a bug of blocksparse.");
    }
  }
}
