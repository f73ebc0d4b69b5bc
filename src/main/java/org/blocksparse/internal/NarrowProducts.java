// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_gemm_typed_f32;

import org.blocksparse.internal.schedule.GemmSchedule;

/** Products of the native library with narrow weights: never on OpenBLAS. */
final class NarrowProducts {
  private NarrowProducts() {}

  /** See {@link Kernels#blockGemm}; returns the status. */
  static int blockGemm(
      int isa,
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
    Blocks.Scales scales = w.scales();
    return blocksparse_block_gemm_typed_f32(
        isa,
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
        w.type().code(),
        w.address(),
        w.inBlocks(),
        w.outBlocks(),
        w.inBlockStride(),
        w.outBlockStride(),
        w.rowStride(),
        w.transposed() ? 1 : 0,
        scales == null ? 0 : scales.storage().address(0),
        scales == null ? 0 : scales.inBlockStride(),
        scales == null ? 0 : scales.outBlockStride(),
        bias == null ? 0 : bias.address(),
        bias == null ? 0 : bias.stride(),
        accumulate ? 1 : 0,
        c.address(),
        c.count(),
        c.stride());
  }
}
