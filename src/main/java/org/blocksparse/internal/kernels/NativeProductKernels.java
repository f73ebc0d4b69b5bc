// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_gemm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_outer_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_sum_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_gemm_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_outer_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_packed_activation_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_packed_gemm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_round_rows_f32;
import static org.blocksparse.internal.kernels.NativeRowKernels.check;

import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;

/** The products of the native library, with one instruction set and one way to multiply. */
record NativeProductKernels(int isa, int path) implements ProductKernels {
  /** Null for products that never run on OpenBLAS, which alone needs it. */
  private static Scratch borrowOrNull(long elements) {
    return elements == 0 ? null : Scratch.borrow(elements);
  }

  /** Elements of scratch memory that a product needs: none if it never runs on OpenBLAS. */
  private long scratch(Blocks w) {
    int type = w.type().code();
    int transposed = w.transposed() ? 1 : 0;
    return blocksparse_gemm_scratch_f32(isa, path, type, w.inSize(), w.outSize(), transposed);
  }

  @Override
  public boolean mayUseBlas(Blocks w) {
    return scratch(w) > 0;
  }

  // Long, since each operand has its line.
  @Override
  public void blockGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      Rows a,
      boolean roundsA,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c) {
    int type = w.type().code();
    int transposed = w.transposed() ? 1 : 0;
    Blocks.Scales scales = w.scales();
    try (Scratch scratch = borrowOrNull(scratch(w))) {
      check(
          blocksparse_block_gemm_f32(
              isa,
              path,
              schedule.packed().address(0),
              schedule.length(),
              chunkBegin,
              chunkEnd,
              columnBegin,
              columnEnd,
              w.inSize(),
              w.outSize(),
              a.address(),
              a.count(),
              a.stride(),
              roundsA ? 1 : 0,
              type,
              w.address(),
              w.inBlocks(),
              w.outBlocks(),
              w.inBlockStride(),
              w.outBlockStride(),
              w.rowStride(),
              transposed,
              scales == null ? 0 : scales.storage().address(0),
              scales == null ? 0 : scales.inBlockStride(),
              scales == null ? 0 : scales.outBlockStride(),
              bias == null ? 0 : bias.address(),
              bias == null ? 0 : bias.stride(),
              accumulate ? 1 : 0,
              c.address(),
              c.count(),
              c.stride(),
              scratch == null ? 0 : scratch.storage().address(0),
              scratch == null ? 0 : scratch.storage().elements()),
          "blocksparse_block_gemm_f32");
    }
  }

  @Override
  public void roundRows(int firstRow, int endRow, Rows a, RoundedRows rounded) {
    check(
        blocksparse_round_rows_f32(
            isa,
            firstRow,
            endRow,
            rounded.size(),
            a.address(),
            a.count(),
            a.stride(),
            rounded.address()),
        "blocksparse_round_rows_f32");
  }

  @Override
  public void packedGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c) {
    int type = w.type().code();
    Blocks.Scales scales = w.scales();
    check(
        blocksparse_packed_gemm_f32(
            isa,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            columnBegin,
            columnEnd,
            w.inSize(),
            w.outSize(),
            rounded.address(),
            rounded.count(),
            type,
            w.address(),
            w.inBlocks(),
            w.outBlocks(),
            scales == null ? 0 : scales.storage().address(0),
            bias == null ? 0 : bias.address(),
            bias == null ? 0 : bias.stride(),
            accumulate ? 1 : 0,
            c.address(),
            c.count(),
            c.stride()),
        "blocksparse_packed_gemm_f32");
  }

  @Override
  public void packedActivation(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      ActivationFunction function,
      Storage gate,
      RoundedRows to) {
    int type = w.type().code();
    Blocks.Scales scales = w.scales();
    check(
        blocksparse_packed_activation_f32(
            isa,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            columnBegin,
            columnEnd,
            w.inSize(),
            to.size(),
            rounded.address(),
            rounded.count(),
            type,
            w.address(),
            w.inBlocks(),
            w.outBlocks(),
            scales == null ? 0 : scales.storage().address(0),
            bias == null ? 0 : bias.address(),
            bias == null ? 0 : bias.stride(),
            function.number(),
            gate == null ? 0 : gate.address(0),
            to.address(),
            to.count()),
        "blocksparse_packed_activation_f32");
  }

  @Override
  public void blockOuter(
      OuterSchedule schedule,
      int blockBegin,
      int blockEnd,
      int rowBegin,
      int rowEnd,
      float alpha,
      Rows x,
      Rows y,
      boolean accumulate,
      Blocks o) {
    long elements = blocksparse_outer_scratch_f32(isa, path, o.inSize(), o.outSize());
    try (Scratch scratch = borrowOrNull(elements)) {
      check(
          blocksparse_block_outer_f32(
              isa,
              path,
              schedule.packed().address(0),
              schedule.length(),
              blockBegin,
              blockEnd,
              rowBegin,
              rowEnd,
              o.inSize(),
              o.outSize(),
              alpha,
              x.address(),
              x.count(),
              x.stride(),
              y.address(),
              y.count(),
              y.stride(),
              accumulate ? 1 : 0,
              o.address(),
              o.inBlocks(),
              o.outBlocks(),
              o.inBlockStride(),
              o.outBlockStride(),
              o.rowStride(),
              o.transposed() ? 1 : 0,
              scratch == null ? 0 : scratch.storage().address(0),
              scratch == null ? 0 : scratch.storage().elements()),
          "blocksparse_block_outer_f32");
    }
  }

  @Override
  public void blockSum(
      GemmSchedule schedule, int chunkBegin, int chunkEnd, int n, float alpha, Rows y, Rows o) {
    check(
        blocksparse_block_sum_f32(
            isa,
            schedule.packed().address(0),
            schedule.length(),
            chunkBegin,
            chunkEnd,
            n,
            alpha,
            y.address(),
            y.count(),
            y.stride(),
            o.address(),
            Math.toIntExact(o.count()),
            o.stride()),
        "blocksparse_block_sum_f32");
  }
}
