// SPDX-License-Identifier: Apache-2.0
//
// The start of a product's sums: c, a bias or 0. See all_kernels.inl.

namespace {

alignas(64) constexpr float kZeros[kTileColumns] = {};

// The common start of a piece's sums for all rows, or NULL: they start with c.
INLINE const float* common_begin(const gemm_work& work, int32_t p, int32_t column) {
  if (p > 0 || work.begin == sums_begin::with_c) {
    return nullptr;
  }
  return work.begin == sums_begin::with_bias ? work.bias + column : kZeros;
}

}  // namespace
