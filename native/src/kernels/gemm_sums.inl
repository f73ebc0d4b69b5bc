// SPDX-License-Identifier: Apache-2.0
// The initial sums of a product: c, a bias or 0. See all_kernels.inl.

namespace {

alignas(64) constexpr float kZeros[kTileColumns] = {};

// The common initial sums of a piece for all rows, or NULL: they start with c.
INLINE const float* common_begin(const gemm_work& work, int32_t p, int32_t column) {
  if (p > 0 || work.begin == sums_begin::with_c) {
    return nullptr;
  }
  return work.begin == sums_begin::with_bias ? work.bias + column : kZeros;
}

}  // namespace
