// SPDX-License-Identifier: Apache-2.0
//
// All kernels, written once in terms of a simd_<isa>.h, and the table of them. Each
// kernels_<isa>.cpp names its header in BLOCKSPARSE_SIMD, includes this file, and has compile
// options of its own. Everything here is in an anonymous namespace: an inline function with a name
// known to the linker could be taken from the file of one instruction set for the file of another.

#include <math.h>

#include <type_traits>
#include <utility>

#include "kernels/compiler_hints.h"
#include "kernels/kernel_table.h"

#include BLOCKSPARSE_SIMD

namespace {

using blocksparse::activation_gradient_row;
using blocksparse::activation_row;
using blocksparse::bag_work;
using blocksparse::bfloat16;
using blocksparse::binary_targets;
using blocksparse::block_view;
using blocksparse::cross_entropy_target;
using blocksparse::element_type;
using blocksparse::elementwise_function;
using blocksparse::float16;
using blocksparse::gemm_pairs_work;
using blocksparse::gemm_work;
using blocksparse::kernel_table;
using blocksparse::kPairsAhead;
using blocksparse::kTileRows;
using blocksparse::outer_pairs_work;
using blocksparse::outer_work;
using blocksparse::row_and_block;
using blocksparse::row_tile;
using blocksparse::softmax_row;
using blocksparse::sums_begin;

// The mask of a whole vector.
struct all {};

template <typename Element>
INLINE vec load(const Element* p, all) {
  return load(p);
}
INLINE void store(float* p, vec a, all) { store(p, a); }
INLINE vec select(all, vec a, vec) { return a; }

// Calls function(i, mask) for each vector of n elements, the last of which may be partial.
template <typename Function>
INLINE void for_each_vector(int64_t n, const Function& function) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    function(i, all{});
  }
  if (i < n) {
    function(i, first(static_cast<int32_t>(n - i)));
  }
}

}  // namespace

// In this order: each file uses names of those above it.
// clang-format off
#include "kernels/lanes.inl"
#include "kernels/register_tiles.inl"
#include "kernels/gemm_sums.inl"
#include "kernels/gemm_prefetch.inl"
#include "kernels/gemm_micro_kernel.inl"
#include "kernels/gemm_pack_panel.inl"
#include "kernels/gemm_dot_kernel.inl"
#include "kernels/gemm_driver.inl"
#include "kernels/gemm_pairs.inl"
#include "kernels/outer_tiles.inl"
#include "kernels/outer_pairs.inl"
#include "kernels/exponential.inl"
#include "kernels/softmax.inl"
#include "kernels/activations.inl"
#include "kernels/binary_cross_entropy.inl"
#include "kernels/vector_sums.inl"
#include "kernels/optimizer_steps.inl"
#include "kernels/bag.inl"
// clang-format on

namespace {

constexpr kernel_table kTable = {gemm,
                                 gemm_pairs,
                                 outer,
                                 outer_pairs,
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
                                 sgd,
                                 adagrad,
                                 adam,
                                 bag_sum,
                                 dot};

}  // namespace
