// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_MEAN;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_ROOT_MEAN;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_SUM;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_PATH_AUTO;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_PATH_BLAS;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_PATH_TILE;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_adagrad_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_adam_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_adagrad_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_adam_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_dot_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_sgd_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_sum_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_gemm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_outer_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_sum_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_gemm_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_may_use_blas;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_norm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_outer_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_path_words;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_sgd_f32;

import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/** The kernels of the native library, with one instruction set and one way to multiply. */
public final class NativeKernels extends NativeRowKernels {
  private final int path;

  /**
   * Kernels for an instruction set that this processor has.
   *
   * @param isa one of the header's {@code blocksparse_isa}
   */
  public NativeKernels(int isa, Path path) {
    super(isa);
    this.path =
        switch (path) {
          case AUTO -> BLOCKSPARSE_PATH_AUTO;
          case BLAS -> BLOCKSPARSE_PATH_BLAS;
          case TILE -> BLOCKSPARSE_PATH_TILE;
        };
  }

  @Override
  public String instructionSet() {
    return NativeLibrary.isaName(isa);
  }

  @Override
  public String path() {
    return NativeMemory.text(blocksparse_path_words(isa, path));
  }

  @Override
  public boolean mayUseBlas() {
    return blocksparse_may_use_blas(isa, path) != 0;
  }

  /** Null for products that never run on OpenBLAS, which alone needs it. */
  private static Scratch borrowOrNull(long elements) {
    return elements == 0 ? null : Scratch.borrow(elements);
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
    if (roundsA || w.type() != WeightType.FLOAT32) {
      check(
          NarrowProducts.blockGemm(
              isa,
              schedule,
              chunkBegin,
              chunkEnd,
              columnBegin,
              columnEnd,
              a,
              roundsA,
              w,
              bias,
              accumulate,
              c),
          "blocksparse_block_gemm_typed_f32");
      return;
    }
    int transposed = w.transposed() ? 1 : 0;
    long elements = blocksparse_gemm_scratch_f32(isa, path, w.inSize(), w.outSize(), transposed);
    try (Scratch scratch = borrowOrNull(elements)) {
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
              w.address(),
              w.inBlocks(),
              w.outBlocks(),
              w.inBlockStride(),
              w.outBlockStride(),
              w.rowStride(),
              transposed,
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

  @Override
  public float norm(long count, Storage x) {
    return blocksparse_norm_f32(isa, count, x.address(0));
  }

  @Override
  public void sgd(
      long count, float rate, float scale, float decay, Storage g, Storage w, long offset) {
    check(
        blocksparse_sgd_f32(isa, count, rate, scale, decay, g.address(0), w.address(offset)),
        "blocksparse_sgd_f32");
  }

  @Override
  public void adagrad(
      long count,
      float rate,
      float scale,
      float decay,
      float epsilon,
      Storage g,
      Storage s,
      Storage w,
      long offset) {
    check(
        blocksparse_adagrad_f32(
            isa,
            count,
            rate,
            scale,
            decay,
            epsilon,
            g.address(0),
            s.address(offset),
            w.address(offset)),
        "blocksparse_adagrad_f32");
  }

  @Override
  public void adam(
      long count,
      float rate,
      float scale,
      float decay,
      float beta1,
      float beta2,
      float epsilon,
      long step,
      Storage g,
      Storage m,
      Storage v,
      Storage w,
      long offset) {
    check(
        blocksparse_adam_f32(
            isa,
            count,
            rate,
            scale,
            decay,
            beta1,
            beta2,
            epsilon,
            step,
            g.address(0),
            m.address(offset),
            v.address(offset),
            w.address(offset)),
        "blocksparse_adam_f32");
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
  public void bagSgd(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      float rate,
      float decay,
      float maxNorm,
      Storage w) {
    try (Scratch gradient = Scratch.borrow(n)) {
      check(
          blocksparse_bag_sgd_f32(
              isa,
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
              rate,
              decay,
              maxNorm,
              w.address(0),
              w.elements() / n,
              gradient.storage().address(0)),
          "blocksparse_bag_sgd_f32");
    }
  }

  @Override
  public void bagAdagrad(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      float rate,
      float decay,
      float maxNorm,
      float epsilon,
      Storage s,
      Storage w) {
    try (Scratch gradient = Scratch.borrow(n)) {
      check(
          blocksparse_bag_adagrad_f32(
              isa,
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
              rate,
              decay,
              maxNorm,
              epsilon,
              s.address(0),
              w.address(0),
              w.elements() / n,
              gradient.storage().address(0)),
          "blocksparse_bag_adagrad_f32");
    }
  }

  @Override
  public void bagAdam(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      Slice steps,
      float rate,
      float decay,
      float maxNorm,
      float beta1,
      float beta2,
      float epsilon,
      Storage m,
      Storage v,
      Storage w) {
    try (Scratch gradient = Scratch.borrow(n)) {
      check(
          blocksparse_bag_adam_f32(
              isa,
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
              steps.address(),
              rate,
              decay,
              maxNorm,
              beta1,
              beta2,
              epsilon,
              m.address(0),
              v.address(0),
              w.address(0),
              w.elements() / n,
              gradient.storage().address(0)),
          "blocksparse_bag_adam_f32");
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
}
