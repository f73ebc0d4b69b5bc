// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_descent_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_gemm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_outer_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_sum_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_gemm_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_outer_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_packed_activation_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_packed_gemm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_packed_name;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_round_rows_f32;
import static org.blocksparse.internal.kernels.NativeRowKernels.check;

import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;

/** The products of the native library, with one instruction set and one way to multiply. */
record NativeProductKernels(int isa, int path) implements ProductKernels {
  /** Borrows scratch; null for products that never run on OpenBLAS, which alone needs it. */
  private static Scratch borrowOrNull(long elements) {
    return elements == 0 ? null : Scratch.borrow(elements);
  }

  private static long address(Scratch scratch) {
    return scratch == null ? 0 : scratch.storage().address(0);
  }

  private static long length(Scratch scratch) {
    return scratch == null ? 0 : scratch.storage().elements();
  }

  /**
   * Returns the elements of scratch memory that a product needs: 0 if it never runs on OpenBLAS.
   */
  private long scratch(Blocks w) {
    int type = w.type().code();
    int transposed = w.transposed() ? 1 : 0;
    return blocksparse_gemm_scratch_f32(isa, path, type, w.inSize(), w.outSize(), transposed);
  }

  @Override
  public boolean mayUseBlas(Blocks w) {
    return scratch(w) > 0;
  }

  @Override
  public boolean readsRowsInOrder() {
    return NativeMemory.text(blocksparse_packed_name(isa)).startsWith("amx");
  }

  @Override
  public void blockGemm(BlockProduct product, int begin, int end, int columnBegin, int columnEnd) {
    try (Scratch scratch = borrowOrNull(scratch(product.w()));
        NativeOperands to = NativeOperands.borrow()) {
      long part = to.part(product.schedule(), begin, end, columnBegin, columnEnd);
      long a = to.put(product.a());
      int rounds = product.format() == RowFormat.BFLOAT16 ? 1 : 0;
      long w = to.put(product.w());
      long c = to.put(product.c());
      check(
          blocksparse_block_gemm_f32(
              isa, path, part, a, rounds, w, c, address(scratch), length(scratch)),
          "blocksparse_block_gemm_f32");
    }
  }

  @Override
  public void roundRows(int begin, int end, Rows a, RoundedRows rounded) {
    try (NativeOperands to = NativeOperands.borrow()) {
      int size = rounded.size();
      check(
          blocksparse_round_rows_f32(
              isa, rounded.format().code(), begin, end, size, to.put(a), rounded.address()),
          "blocksparse_round_rows_f32");
    }
  }

  @Override
  public void packedGemm(
      PackedProduct product, int begin, int end, int columnBegin, int columnEnd) {
    try (NativeOperands to = NativeOperands.borrow()) {
      long part = to.part(product.schedule(), begin, end, columnBegin, columnEnd);
      RoundedRows a = product.a();
      long w = to.put(product.w());
      long c = to.put(product.c());
      check(
          blocksparse_packed_gemm_f32(isa, part, a.format().code(), a.address(), a.count(), w, c),
          "blocksparse_packed_gemm_f32");
    }
  }

  @Override
  public void packedActivation(
      PackedActivation activation, int begin, int end, int columnBegin, int columnEnd) {
    try (NativeOperands operands = NativeOperands.borrow()) {
      long part = operands.part(activation.schedule(), begin, end, columnBegin, columnEnd);
      long a = activation.a().address();
      long rows = activation.a().count();
      long w = operands.put(activation.w());
      long bias = operands.put(activation.bias());
      int function = NativeOperands.number(activation.function());
      long gate = activation.gate() == null ? 0 : activation.gate().address(0);
      long to = activation.to().address();
      check(
          blocksparse_packed_activation_f32(
              isa,
              part,
              activation.a().format().code(),
              a,
              rows,
              w,
              bias,
              function,
              gate,
              to,
              activation.to().count()),
          "blocksparse_packed_activation_f32");
    }
  }

  @Override
  public void blockOuter(OuterProduct product, int begin, int end, int rowBegin, int rowEnd) {
    Blocks blocks = product.o();
    long elements = blocksparse_outer_scratch_f32(isa, path, blocks.inSize(), blocks.outSize());
    try (Scratch scratch = borrowOrNull(elements);
        NativeOperands to = NativeOperands.borrow()) {
      long part = to.part(product.schedule(), begin, end, rowBegin, rowEnd);
      float alpha = product.alpha();
      long x = to.put(product.x());
      long y = to.put(product.y());
      int adds = product.accumulate() ? 1 : 0;
      long o = to.put(blocks);
      check(
          blocksparse_block_outer_f32(
              isa, path, part, alpha, x, y, adds, o, address(scratch), length(scratch)),
          "blocksparse_block_outer_f32");
    }
  }

  @Override
  public void descend(BlockProduct gradient, int begin, int end, OuterProduct step, int block) {
    Blocks blocks = step.o();
    int m = blocks.inSize();
    long elements =
        Math.max(
            scratch(gradient.w()), blocksparse_outer_scratch_f32(isa, path, m, blocks.outSize()));
    try (Scratch scratch = borrowOrNull(elements);
        NativeOperands to = NativeOperands.borrow()) {
      long rows = to.part(gradient.schedule(), begin, end, 0, m);
      long ofBlock = to.part(step.schedule(), block, block + 1, 0, m);
      long x = to.put(step.x());
      long y = to.put(step.y());
      long w = to.put(blocks);
      long c = to.put(gradient.c());
      float alpha = step.alpha();
      check(
          blocksparse_block_descent_f32(
              isa, path, rows, ofBlock, x, y, alpha, w, c, address(scratch), length(scratch)),
          "blocksparse_block_descent_f32");
    }
  }

  @Override
  public void blockSum(RowSums sums, int begin, int end) {
    try (NativeOperands to = NativeOperands.borrow()) {
      long part = to.part(sums.schedule(), begin, end, 0, sums.n());
      check(
          blocksparse_block_sum_f32(isa, part, sums.alpha(), to.put(sums.y()), to.put(sums.o())),
          "blocksparse_block_sum_f32");
    }
  }
}
