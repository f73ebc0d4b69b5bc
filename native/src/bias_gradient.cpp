// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {
namespace {

// Columns whose sums are made before they are added to o.
constexpr int32_t kSums = 256;

// The rows of a chunk are added up first: a long row of additions to one number loses what is small
// beside it.
void add_rows(const kernel_table& kernels, const gemm_chunk& chunk, int32_t n, float alpha,
              const float* y, int64_t ldy, float* o) {
  float sums[kSums];
  for (int32_t begin = 0, width = 0; begin < n; begin += width) {
    width = std::min(kSums, n - begin);
    std::fill_n(sums, width, 0.0f);
    for (int32_t i = 0; i < chunk.rows.count; ++i) {
      kernels.axpy(width, alpha, y + chunk.rows[i] * ldy + begin, sums);
    }
    kernels.axpy(width, 1.0f, sums, o + begin);
  }
}

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_sum_f32(int32_t isa, const int32_t* schedule, int64_t schedule_length,
                                  int32_t chunk_begin, int32_t chunk_end, int32_t n, float alpha,
                                  const float* y, int64_t y_rows, int64_t ldy, float* o,
                                  int32_t write_blocks, int64_t o_stride) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  gemm_schedule plan = {};
  blocksparse_status status = first_error(
      gemm_schedule::parse(schedule, schedule_length, &plan), check_rows(y, y_rows, n, ldy),
      o_stride == 0 ? check_rows(o, 1, n, n) : check_rows(o, write_blocks, n, o_stride));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (write_blocks < 0) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (!is_range(chunk_begin, chunk_end, plan.chunks)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }
  for (int32_t c = chunk_begin; c < chunk_end; ++c) {
    gemm_chunk chunk;
    status = plan.rows_of(c, write_blocks, y_rows, &chunk);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    add_rows(*kernels, chunk, n, alpha, y, ldy, o + chunk.write_block * o_stride);
  }
  return BLOCKSPARSE_OK;
}
