// SPDX-License-Identifier: Apache-2.0
//
// What the sums of a product begin with: c, a bias or 0. See all_kernels.inl.

namespace {

alignas(64) constexpr float kZeros[kTileColumns] = {};

// What the sums of a piece begin with for all rows alike, or NULL: with what c holds.
INLINE const float* common_begin(const gemm_work& work, int32_t p, int32_t column) {
  if (p > 0 || work.begin == sums_begin::with_c) {
    return nullptr;
  }
  return work.begin == sums_begin::with_bias ? work.bias + column : kZeros;
}

}  // namespace
