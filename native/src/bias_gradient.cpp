// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

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
    for (int32_t i = 0; i < chunk.rows.count && n > 0; ++i) {
      kernels->axpy(n, alpha, y + chunk.rows[i] * ldy, o + chunk.write_block * o_stride);
    }
  }
  return BLOCKSPARSE_OK;
}
