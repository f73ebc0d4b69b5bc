// SPDX-License-Identifier: Apache-2.0
//
// The language of all kernels: the vectors of the simd_<isa>.h that BLOCKSPARSE_SIMD names, and
// the types of kernel_table.h by their short names. See all_kernels.inl.

#include <math.h>

#include <type_traits>
#include <utility>

#include "blocksparse/blocksparse.h"
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
using blocksparse::descent_work;
using blocksparse::element_type;
using blocksparse::elementwise_function;
using blocksparse::float16;
using blocksparse::gemm_pairs_work;
using blocksparse::gemm_work;
using blocksparse::kClampedSiluLimit;
using blocksparse::kernel_table;
using blocksparse::kFewPairsBlock;
using blocksparse::kMostDescentPairs;
using blocksparse::kMostTiles;
using blocksparse::kPairsAhead;
using blocksparse::kTileRows;
using blocksparse::outer_pairs_work;
using blocksparse::outer_work;
using blocksparse::row_and_block;
using blocksparse::row_tile;
using blocksparse::softmax_row;
using blocksparse::step_work;
using blocksparse::sums_begin;
using blocksparse::update_rule;

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
  for (; i <= n - kWidth; i += kWidth) {
    function(i, all{});
  }
  if (i < n) {
    function(i, first(static_cast<int32_t>(n - i)));
  }
}

}  // namespace
