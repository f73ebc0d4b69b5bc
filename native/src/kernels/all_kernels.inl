// SPDX-License-Identifier: Apache-2.0
//
// All kernels, written once in terms of a simd_<isa>.h, and the table of them. Each
// kernels_<isa>.cpp names its header in BLOCKSPARSE_SIMD, includes this file, and has compile
// options of its own. Everything here is in an anonymous namespace: an inline function with a name
// known to the linker could be taken from the file of one instruction set for the file of another.

// In this order: each file uses names of those above it.
// clang-format off
#include "kernels/vectors.inl"
#include "kernels/lanes.inl"
#include "kernels/register_tiles.inl"
#include "kernels/gemm_sums.inl"
#include "kernels/gemm_prefetch.inl"
#include "kernels/gemm_micro_kernel.inl"
#include "kernels/gemm_pack_panel.inl"
#include "kernels/gemm_dot_kernel.inl"
#include "kernels/gemm_few_rows.inl"
#include "kernels/gemm_driver.inl"
#include "kernels/gemm_rounded.inl"
#include "kernels/gemm_pairs.inl"
#include "kernels/outer_tiles.inl"
#include "kernels/outer_pairs.inl"
#include "kernels/descent.inl"
#include "kernels/exponential.inl"
#include "kernels/softmax.inl"
#include "kernels/activations.inl"
#include "kernels/binary_cross_entropy.inl"
#include "kernels/vector_sums.inl"
#include "kernels/optimizer_steps.inl"
#include "kernels/bag.inl"
// clang-format on

namespace {

constexpr kernel_table kTable = {kTileColumns,
                                 gemm,
                                 gemm_rounded,
                                 gemm_pairs,
                                 outer,
                                 outer_pairs,
                                 descend,
                                 end_streams,
                                 softmax,
                                 log_softmax,
                                 cross_entropy,
                                 sigmoid,
                                 log_sigmoid,
                                 binary_cross_entropy,
                                 activate,
                                 differentiate,
                                 axpy,
                                 sum_of_squares,
                                 largest_magnitude,
                                 step,
                                 bag_sum,
                                 dot};

}  // namespace
