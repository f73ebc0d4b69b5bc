// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "blas_path.h"
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

int32_t blocksparse_block_outer_f32(int32_t isa, int32_t path, const int32_t* schedule,
                                    int64_t schedule_length, int32_t block_begin, int32_t block_end,
                                    int32_t m_begin, int32_t m_end, int32_t m, int32_t n,
                                    float alpha, const float* x, int64_t x_rows, int64_t ldx,
                                    const float* y, int64_t y_rows, int64_t ldy, int32_t accumulate,
                                    float* o, int32_t x_blocks, int32_t y_blocks,
                                    int64_t o_x_stride, int64_t o_y_stride, int64_t ldo,
                                    int32_t o_transposed, float* scratch, int64_t scratch_length) {
  using namespace blocksparse;
  if (kernels_for(isa) == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (path < BLOCKSPARSE_PATH_AUTO || path > BLOCKSPARSE_PATH_TILE || !is_flag(accumulate) ||
      !is_flag(o_transposed)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  outer_schedule plan;
  blocksparse_status status =
      first_error(outer_schedule::parse(schedule, schedule_length, &plan),
                  check_rows(x, x_rows, m, ldx), check_rows(y, y_rows, n, ldy),
                  check_blocks(o, x_blocks, o_x_stride, y_blocks, o_y_stride,
                               o_transposed == 1 ? n : m, o_transposed == 1 ? m : n, ldo),
                  check_scratch(scratch, scratch_length, m, n));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(m_begin, m_end, m) || !is_blas_size(ldo)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (!is_range(block_begin, block_end, plan.blocks)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }

  for (int32_t b = block_begin; b < block_end; ++b) {
    outer_block pairs;
    status = plan.block(b, x_blocks, y_blocks, x_rows, y_rows, &pairs);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    const int32_t rows = m_end - m_begin;
    if (rows == 0 || n == 0) {
      continue;
    }
    float* const block = o + pairs.x_block * o_x_stride + pairs.y_block * o_y_stride +
                         m_begin * (o_transposed == 1 ? 1 : ldo);
    if (pairs.x.count == 0) {
      for (int32_t r = 0; accumulate == 0 && r < (o_transposed == 1 ? n : rows); ++r) {
        std::memset(block + r * ldo, 0,
                    sizeof(float) * static_cast<std::size_t>(o_transposed == 1 ? rows : n));
      }
    } else if (o_transposed == 1) {
      const blas_outer product = {n,     rows,        alpha,   y,
                                  ldy,   x + m_begin, ldx,     accumulate == 1,
                                  block, ldo,         scratch, scratch_length};
      product.multiply(pairs.y, pairs.x);
    } else {
      const blas_outer product = {rows,  n,   alpha,   x + m_begin,   ldx, y, ldy, accumulate == 1,
                                  block, ldo, scratch, scratch_length};
      product.multiply(pairs.x, pairs.y);
    }
  }
  return BLOCKSPARSE_OK;
}
