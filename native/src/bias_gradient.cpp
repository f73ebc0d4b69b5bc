// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {
namespace {

// Columns whose sums are computed before they are added to o.
constexpr int32_t kSums = 256;

// Adds the rows of a chunk up first: a long chain of additions to one number loses small summands.
void add_rows(const kernel_table& kernels, const gemm_chunk& chunk, int32_t begin, int32_t end,
              float alpha, const blocksparse_rows& y, float* o) {
  float sums[kSums];
  for (int32_t width = 0; begin < end; begin += width) {
    width = std::min(kSums, end - begin);
    std::fill_n(sums, width, 0.0f);
    for (int32_t i = 0; i < chunk.rows.count; ++i) {
      kernels.axpy(width, alpha, y.data + chunk.rows[i] * y.stride + begin, sums);
    }
    kernels.axpy(width, 1.0f, sums, o + begin);
  }
}

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_sum_f32(int32_t isa, const blocksparse_part* part, float alpha,
                                  const blocksparse_rows* y, const blocksparse_rows* o) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, y, o)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const int32_t end = part->column_end;
  gemm_schedule plan = {};
  blocksparse_status status =
      first_error(gemm_schedule::parse(*part, &plan), check_rows(*y, end),
                  o->stride == 0 ? check_rows(o->data, 1, end, end) : check_rows(*o, end));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (o->count < 0 || !is_range(part->column_begin, end, end)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (!is_range(part->begin, part->end, plan.chunks)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }
  for (int32_t c = part->begin; c < part->end; ++c) {
    gemm_chunk chunk;
    status = plan.rows_of(c, o->count, y->count, &chunk);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    add_rows(*kernels, chunk, part->column_begin, end, alpha, *y,
             o->data + chunk.write_block * o->stride);
  }
  return BLOCKSPARSE_OK;
}
