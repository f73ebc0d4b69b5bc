// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "blas_path.h"
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {
namespace {

// What the rows of a chunk hold before products are added: themselves, the bias, or 0.
void initialise_rows(const gemm_chunk& chunk, const float* bias, float* c, int64_t ldc,
                     int32_t columns) {
  const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(float);
  for (int32_t i = 0; i < chunk.rows.count; ++i) {
    float* const row = c + chunk.rows[i] * ldc;
    if (bias != nullptr) {
      std::memcpy(row, bias, bytes);
    } else {
      std::memset(row, 0, bytes);
    }
  }
}

}  // namespace
}  // namespace blocksparse

int64_t blocksparse_scratch_f32(int32_t size1, int32_t size2) {
  using namespace blocksparse;
  return blas_scratch(size1 < 0 ? 0 : size1, size2 < 0 ? 0 : size2);
}

int32_t blocksparse_block_gemm_f32(int32_t isa, int32_t path, const int32_t* schedule,
                                   int64_t schedule_length, int32_t chunk_begin, int32_t chunk_end,
                                   int32_t column_begin, int32_t column_end, int32_t k, int32_t n,
                                   const float* a, int64_t a_rows, int64_t lda, const float* w,
                                   int32_t read_blocks, int32_t write_blocks, int64_t w_read_stride,
                                   int64_t w_write_stride, int64_t ldw, int32_t w_transposed,
                                   const float* bias, int64_t bias_stride, int32_t accumulate,
                                   float* c, int64_t c_rows, int64_t ldc, float* scratch,
                                   int64_t scratch_length) {
  using namespace blocksparse;
  if (kernels_for(isa) == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (path < BLOCKSPARSE_PATH_AUTO || path > BLOCKSPARSE_PATH_TILE || !is_flag(w_transposed) ||
      !is_flag(accumulate) || (accumulate == 1 && bias != nullptr)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  gemm_schedule plan;
  blocksparse_status status = first_error(
      gemm_schedule::parse(schedule, schedule_length, &plan), check_rows(a, a_rows, k, lda),
      check_blocks(w, read_blocks, w_read_stride, write_blocks, w_write_stride,
                   w_transposed == 1 ? n : k, w_transposed == 1 ? k : n, ldw),
      bias == nullptr ? BLOCKSPARSE_OK : check_rows(bias, write_blocks, n, bias_stride),
      check_rows(c, c_rows, n, ldc), check_scratch(scratch, scratch_length, k, n));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(column_begin, column_end, n) || !is_blas_size(ldw)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (!is_range(chunk_begin, chunk_end, plan.chunks)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }

  const int32_t columns = column_end - column_begin;
  for (int32_t i = chunk_begin; i < chunk_end; ++i) {
    gemm_chunk chunk;
    status = plan.chunk(i, read_blocks, write_blocks, a_rows, c_rows, &chunk);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    if (columns == 0) {
      continue;
    }
    if (accumulate == 0) {
      initialise_rows(
          chunk, bias == nullptr ? nullptr : bias + chunk.write_block * bias_stride + column_begin,
          c + column_begin, ldc, columns);
    }
    for (int32_t s = 0; s < chunk.segment_count && k > 0; ++s) {
      const gemm_segment segment = plan.segment(chunk, s);
      if (segment.read.count == 0) {
        continue;
      }
      const float* const block = w + segment.read_block * w_read_stride +
                                 chunk.write_block * w_write_stride +
                                 column_begin * (w_transposed == 1 ? ldw : 1);
      const blas_gemm product = {
          k,       columns,       a, lda, block, ldw, w_transposed == 1, c + column_begin, ldc,
          scratch, scratch_length};
      product.multiply(segment.read, segment.write);
    }
  }
  return BLOCKSPARSE_OK;
}
