// SPDX-License-Identifier: Apache-2.0
//
// Products of rounded rows with weights in panels; see packed/panels.h.
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "initial_rows.h"
#include "kernels/kernel_table.h"
#include "packed/panels.h"
#include "schedule.h"

namespace blocksparse {
namespace {

using packed::kInputs;
using packed::kOutputs;
using packed::weight_type;

// False if no panels hold weights of this type.
bool packed_type(int32_t type, weight_type* packed) {
  switch (type) {
    case BLOCKSPARSE_INT8:
      *packed = weight_type::int8;
      return true;
    case BLOCKSPARSE_Q8_0:
      *packed = weight_type::q8_0;
      return true;
    case BLOCKSPARSE_Q4_0:
      *packed = weight_type::q4_0;
      return true;
    case BLOCKSPARSE_MXFP4:
      *packed = weight_type::mxfp4;
      return true;
    default:
      return false;
  }
}

// Rounded rows of k numbers: the codes of all rows, their scales, their sums. There are fewer rows
// than indices.
blocksparse_status check_rounded(const void* rounded, int64_t rows, int32_t k) {
  if (k < 0 || rows < 0 || rows > INT32_MAX) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (rounded == nullptr && rows > 0 && k > 0) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  return reinterpret_cast<uintptr_t>(rounded) % sizeof(float) == 0 ? BLOCKSPARSE_OK
                                                                   : BLOCKSPARSE_BAD_ARGUMENT;
}

packed::rounded_rows rounded_rows_at(void* rounded, int64_t rows, int32_t k) {
  const int32_t groups = packed::groups_of(k);
  int8_t* const codes = static_cast<int8_t*>(rounded);
  if (codes == nullptr) {
    return {groups, nullptr, nullptr, nullptr};
  }
  void* const scales = codes + rows * groups * kInputs;
  void* const sums = static_cast<float*>(scales) + rows * groups;
  return {groups, codes, static_cast<float*>(scales), static_cast<int32_t*>(sums)};
}

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_round_rows_f32(int32_t isa, int32_t row_begin, int32_t row_end, int32_t k,
                                   const float* a, int64_t a_rows, int64_t lda, void* rounded) {
  using namespace blocksparse;
  if (kernels_for(isa) == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  const blocksparse_status status =
      first_error(check_rows(a, a_rows, k, lda), check_rounded(rounded, a_rows, k));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(row_begin, row_end, static_cast<int32_t>(a_rows))) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const packed::kernels& kernels = packed::fastest(isa);
  const packed::rounded_rows to = rounded_rows_at(rounded, a_rows, k);
  for (int32_t r = row_begin; r < row_end && k > 0; ++r) {
    kernels.round_row(a + r * lda, k, to, r);
  }
  return BLOCKSPARSE_OK;
}

int32_t blocksparse_packed_gemm_f32(int32_t isa, const int32_t* schedule, int64_t schedule_length,
                                    int32_t chunk_begin, int32_t chunk_end, int32_t column_begin,
                                    int32_t column_end, int32_t k, int32_t n, const void* rounded,
                                    int64_t a_rows, int32_t w_type, const void* w,
                                    int32_t read_blocks, int32_t write_blocks, const float* scales,
                                    const float* bias, int64_t bias_stride, int32_t accumulate,
                                    float* c, int64_t c_rows, int64_t ldc) {
  using namespace blocksparse;
  if (kernels_for(isa) == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  weight_type type;
  if (!packed_type(w_type, &type) || !is_flag(accumulate) || (accumulate == 1 && bias != nullptr) ||
      (type != weight_type::int8 && scales != nullptr)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (n < 0 || read_blocks < 0 || write_blocks < 0) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  gemm_schedule plan;
  blocksparse_status status = first_error(
      gemm_schedule::parse(schedule, schedule_length, &plan), check_rounded(rounded, a_rows, k),
      check_rows(c, c_rows, n, ldc),
      bias == nullptr ? BLOCKSPARSE_OK : check_rows(bias, write_blocks, n, bias_stride));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  const int64_t blocks = int64_t{read_blocks} * write_blocks;
  const int64_t block_bytes = packed::packed_bytes(type, k, n);
  const bool scaled = type == weight_type::int8 && k > 0;
  if (distance(blocks + 1, block_bytes) < 0 || (scaled && distance(blocks + 1, n) < 0) ||
      !is_range(column_begin, column_end, n) || column_begin % kOutputs != 0 ||
      (column_end % kOutputs != 0 && column_end != n)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (blocks > 0 && block_bytes > 0 && (w == nullptr || (scaled && scales == nullptr))) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  status = plan.check(chunk_begin, chunk_end, read_blocks, write_blocks, a_rows, c_rows);
  if (status != BLOCKSPARSE_OK || column_begin == column_end) {
    return status;
  }

  const packed::kernels& kernels = packed::fastest(isa);
  packed::panel_product product = {};
  product.output_begin = column_begin;
  product.output_end = column_end;
  product.x = rounded_rows_at(const_cast<void*>(rounded), a_rows, k);  // only read
  product.c = c;
  product.ldc = ldc;
  for (int32_t i = chunk_begin; i < chunk_end; ++i) {
    const gemm_chunk chunk = plan.chunk(i);
    if (accumulate == 0) {
      initialise_rows(chunk.rows,
                      bias == nullptr ? nullptr : bias + chunk.write_block * bias_stride,
                      column_begin, column_end, c, ldc);
    }
    for (int32_t s = 0; s < chunk.segment_count && k > 0; ++s) {
      const gemm_segment segment = plan.segment(chunk, s);
      const int64_t block = int64_t{segment.read_block} * write_blocks + chunk.write_block;
      product.panels = static_cast<const uint8_t*>(w) + block * block_bytes;
      product.output_scales = scales == nullptr ? nullptr : scales + block * n;
      product.read = segment.read.data;
      product.rows = segment.write.rows;
      product.position = segment.write.position;
      product.count = segment.read.count;
      kernels.multiply(type, product);
    }
  }
  return BLOCKSPARSE_OK;
}

const char* blocksparse_packed_name(int32_t isa) {
  using namespace blocksparse;
  return kernels_for(isa) == nullptr ? nullptr : packed::fastest(isa).name;
}
