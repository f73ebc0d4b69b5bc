// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {
namespace {

// The rows that both functions below work on: those of a schedule's chunks, each a `valid` part of
// n elements.
struct row_operands {
  int32_t n;
  int32_t write_blocks;
  const int32_t* valid;
  float* c;
  int64_t c_rows;
  int64_t ldc;

  blocksparse_status check() const {
    return write_blocks < 0 ? BLOCKSPARSE_BAD_SIZE : check_rows(c, c_rows, n, ldc);
  }

  int32_t valid_of(int32_t block) const { return valid == nullptr ? n : valid[block]; }

  // Of no elements, c may be null, to which no offset may be added.
  softmax_row row(int32_t r, int32_t v) const { return {n == 0 ? c : c + r * ldc, n, v}; }
};

// Chunks of a GEMM schedule.
struct chunk_range {
  const int32_t* schedule;
  int64_t length;
  int32_t begin, end;
};

// Checks chunk after chunk and calls row_function(r, v) for its rows, if chunk_check(chunk, v)
// agrees.
template <typename ChunkCheck, typename RowFunction>
blocksparse_status for_each_row(const chunk_range& chunks, const row_operands& operands,
                                const ChunkCheck& chunk_check, const RowFunction& row_function) {
  gemm_schedule plan = {};
  blocksparse_status status =
      first_error(gemm_schedule::parse(chunks.schedule, chunks.length, &plan), operands.check());
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(chunks.begin, chunks.end, plan.chunks)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }
  for (int32_t c = chunks.begin; c < chunks.end; ++c) {
    gemm_chunk chunk;
    status = plan.rows_of(c, operands.write_blocks, operands.c_rows, &chunk);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    const int32_t v = operands.valid_of(chunk.write_block);
    if (v < std::min(1, operands.n) || v > operands.n) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    status = chunk_check(chunk, v);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    for (int32_t i = 0; i < chunk.rows.count; ++i) {
      row_function(chunk.rows[i], v);
    }
  }
  return BLOCKSPARSE_OK;
}

// A kernel for the elements of a row, given the row's factor or offset.
using row_kernel = void (*kernel_table::*)(const softmax_row& row, float scale);

blocksparse_status probabilities(int32_t isa, int32_t logarithm, row_kernel plain,
                                 row_kernel logarithmic, const chunk_range& chunks,
                                 const row_operands& operands, const float* scale) {
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (!is_flag(logarithm)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const auto kernel = kernels->*(logarithm == 1 ? logarithmic : plain);
  const float none = logarithm == 1 ? 0.0f : 1.0f;
  const auto accept = [](const gemm_chunk&, int32_t) { return BLOCKSPARSE_OK; };
  const auto run = [&](int32_t r, int32_t v) {
    kernel(operands.row(r, v), scale == nullptr ? none : scale[r]);
  };
  return for_each_row(chunks, operands, accept, run);
}

// For each row the elements that are 1.
struct positive_lists {
  const int32_t* start;
  const int32_t* index;
  int32_t count;

  blocksparse_status check(int32_t row, int32_t v) const {
    if (!is_range(start[row], start[row + 1], count)) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    for (int32_t p = start[row]; p < start[row + 1]; ++p) {
      const int32_t least = p == start[row] ? 0 : index[p - 1] + 1;
      if (index[p] < least || index[p] >= v) {
        return BLOCKSPARSE_BAD_INDEX;
      }
    }
    return BLOCKSPARSE_OK;
  }

  binary_targets of(int32_t row, float weight) const {
    // The list may be null if it has no elements, and nothing may be added to that.
    const int32_t size = start[row + 1] - start[row];
    return {size == 0 ? nullptr : index + start[row], size, weight};
  }
};

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_softmax_f32(int32_t isa, int32_t logarithm, const int32_t* schedule,
                                      int64_t schedule_length, int32_t chunk_begin,
                                      int32_t chunk_end, int32_t n, int32_t write_blocks,
                                      const int32_t* valid, const float* scale, float* c,
                                      int64_t c_rows, int64_t ldc) {
  using namespace blocksparse;
  return probabilities(isa, logarithm, &kernel_table::softmax, &kernel_table::log_softmax,
                       {schedule, schedule_length, chunk_begin, chunk_end},
                       {n, write_blocks, valid, c, c_rows, ldc}, scale);
}

int32_t blocksparse_block_sigmoid_f32(int32_t isa, int32_t logarithm, const int32_t* schedule,
                                      int64_t schedule_length, int32_t chunk_begin,
                                      int32_t chunk_end, int32_t n, int32_t write_blocks,
                                      const int32_t* valid, const float* scale, float* c,
                                      int64_t c_rows, int64_t ldc) {
  using namespace blocksparse;
  return probabilities(isa, logarithm, &kernel_table::sigmoid, &kernel_table::log_sigmoid,
                       {schedule, schedule_length, chunk_begin, chunk_end},
                       {n, write_blocks, valid, c, c_rows, ldc}, scale);
}

int32_t blocksparse_block_cross_entropy_f32(int32_t isa, const int32_t* schedule,
                                            int64_t schedule_length, int32_t chunk_begin,
                                            int32_t chunk_end, int32_t n, int32_t write_blocks,
                                            const int32_t* valid, const int32_t* target,
                                            const float* weights, float smoothing,
                                            const float* prior, float* nll, float* c,
                                            int64_t c_rows, int64_t ldc) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (!(smoothing >= 0.0f && smoothing <= 1.0f)) {  // refuses NaN, too
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if ((target == nullptr || nll == nullptr) && c_rows > 0) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const row_operands operands = {n, write_blocks, valid, c, c_rows, ldc};
  const auto check_targets = [&](const gemm_chunk& chunk, int32_t v) {
    for (int32_t i = 0; i < chunk.rows.count; ++i) {
      const int32_t t = target[chunk.rows[i]];
      if (t < 0 || t >= v) {
        return BLOCKSPARSE_BAD_INDEX;
      }
    }
    return BLOCKSPARSE_OK;
  };
  const auto run = [&](int32_t r, int32_t v) {
    const float weight = weights == nullptr ? 1.0f : weights[r];
    nll[r] = kernels->cross_entropy(operands.row(r, v), {target[r], weight, smoothing, prior});
  };
  return for_each_row({schedule, schedule_length, chunk_begin, chunk_end}, operands, check_targets,
                      run);
}

int32_t blocksparse_block_binary_cross_entropy_f32(
    int32_t isa, const int32_t* schedule, int64_t schedule_length, int32_t chunk_begin,
    int32_t chunk_end, int32_t n, int32_t write_blocks, const int32_t* valid,
    const int32_t* positive_start, const int32_t* positives, int32_t positive_count,
    const float* weights, float* loss, float* c, int64_t c_rows, int64_t ldc) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (positive_count < 0) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (((positive_start == nullptr || loss == nullptr) && c_rows > 0) ||
      (positives == nullptr && positive_count > 0)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const positive_lists lists = {positive_start, positives, positive_count};
  const auto check_lists = [&](const gemm_chunk& chunk, int32_t v) {
    blocksparse_status status = BLOCKSPARSE_OK;
    for (int32_t i = 0; status == BLOCKSPARSE_OK && i < chunk.rows.count; ++i) {
      status = lists.check(chunk.rows[i], v);
    }
    return status;
  };
  const row_operands operands = {n, write_blocks, valid, c, c_rows, ldc};
  const auto run = [&](int32_t r, int32_t v) {
    const float weight = weights == nullptr ? 1.0f : weights[r];
    loss[r] = kernels->binary_cross_entropy(operands.row(r, v), lists.of(r, weight));
  };
  return for_each_row({schedule, schedule_length, chunk_begin, chunk_end}, operands, check_lists,
                      run);
}
