// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {
namespace {

// The rows that both functions below work on: those of a part's chunks; the first `valid` of their
// n elements count.
struct row_operands {
  blocksparse_part part;
  const int32_t* valid;
  int32_t write_blocks;
  blocksparse_rows c;

  int32_t n() const { return part.column_end; }

  blocksparse_status check() const {
    return write_blocks < 0 || part.column_begin != 0 ? BLOCKSPARSE_BAD_SIZE : check_rows(c, n());
  }

  int32_t valid_of(int32_t block) const { return valid == nullptr ? n() : valid[block]; }

  // Without elements, c may be null, and nothing may be added to that.
  softmax_row row(int32_t r, int32_t v) const {
    return {n() == 0 ? c.data : c.data + r * c.stride, n(), v};
  }
};

// Checks chunk after chunk and calls row_function(r, v) for its rows, if chunk_check(chunk, v)
// accepts it.
template <typename ChunkCheck, typename RowFunction>
blocksparse_status for_each_row(const row_operands& operands, const ChunkCheck& chunk_check,
                                const RowFunction& row_function) {
  gemm_schedule plan = {};
  blocksparse_status status =
      first_error(gemm_schedule::parse(operands.part, &plan), operands.check());
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(operands.part.begin, operands.part.end, plan.chunks)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }
  for (int32_t c = operands.part.begin; c < operands.part.end; ++c) {
    gemm_chunk chunk;
    status = plan.rows_of(c, operands.write_blocks, operands.c.count, &chunk);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    const int32_t v = operands.valid_of(chunk.write_block);
    if (v < std::min(1, operands.n()) || v > operands.n()) {
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

bool is_link(int32_t link) { return link == BLOCKSPARSE_SOFTMAX || link == BLOCKSPARSE_LOGISTIC; }

// Computes the losses of rows with one target each.
blocksparse_status softmax_losses(const kernel_table& kernels, const row_operands& operands,
                                  const blocksparse_targets& targets, float* loss) {
  if (!(targets.smoothing >= 0.0f && targets.smoothing <= 1.0f)) {  // rejects NaN, too
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (targets.index == nullptr && operands.c.count > 0) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const auto check_targets = [&](const gemm_chunk& chunk, int32_t v) {
    for (int32_t i = 0; i < chunk.rows.count; ++i) {
      const int32_t t = targets.index[chunk.rows[i]];
      if (t < 0 || t >= v) {
        return BLOCKSPARSE_BAD_INDEX;
      }
    }
    return BLOCKSPARSE_OK;
  };
  const auto run = [&](int32_t r, int32_t v) {
    const float weight = targets.weights == nullptr ? 1.0f : targets.weights[r];
    loss[r] = kernels.cross_entropy(operands.row(r, v),
                                    {targets.index[r], weight, targets.smoothing, targets.prior});
  };
  return for_each_row(operands, check_targets, run);
}

// Checks that the list of a row ascends within [0, v).
blocksparse_status check_positives(const blocksparse_targets& targets, int32_t row, int32_t v) {
  const int32_t begin = targets.start[row], end = targets.start[row + 1];
  if (!is_range(begin, end, targets.count)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  for (int32_t p = begin; p < end; ++p) {
    const int32_t least = p == begin ? 0 : targets.index[p - 1] + 1;
    if (targets.index[p] < least || targets.index[p] >= v) {
      return BLOCKSPARSE_BAD_INDEX;
    }
  }
  return BLOCKSPARSE_OK;
}

// Computes the losses of rows with a list of the elements whose target is 1.
blocksparse_status logistic_losses(const kernel_table& kernels, const row_operands& operands,
                                   const blocksparse_targets& targets, float* loss) {
  if (targets.smoothing != 0.0f || targets.prior != nullptr) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (targets.count < 0) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if ((targets.start == nullptr && operands.c.count > 0) ||
      (targets.index == nullptr && targets.count > 0)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const auto check_lists = [&](const gemm_chunk& chunk, int32_t v) {
    blocksparse_status status = BLOCKSPARSE_OK;
    for (int32_t i = 0; status == BLOCKSPARSE_OK && i < chunk.rows.count; ++i) {
      status = check_positives(targets, chunk.rows[i], v);
    }
    return status;
  };
  const auto run = [&](int32_t r, int32_t v) {
    const float weight = targets.weights == nullptr ? 1.0f : targets.weights[r];
    // The list may be null if it has no elements, and nothing may be added to that.
    const int32_t size = targets.start[r + 1] - targets.start[r];
    const int32_t* const list = size == 0 ? nullptr : targets.index + targets.start[r];
    loss[r] = kernels.binary_cross_entropy(operands.row(r, v), {list, size, weight});
  };
  return for_each_row(operands, check_lists, run);
}

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_probabilities_f32(int32_t isa, int32_t link, int32_t logarithm,
                                            const blocksparse_part* part, const int32_t* valid,
                                            int32_t write_blocks, const float* scale,
                                            const blocksparse_rows* c) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, c)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_link(link) || !is_flag(logarithm)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const auto kernel = link == BLOCKSPARSE_SOFTMAX
                          ? (logarithm == 1 ? kernels->log_softmax : kernels->softmax)
                          : (logarithm == 1 ? kernels->log_sigmoid : kernels->sigmoid);
  const float none = logarithm == 1 ? 0.0f : 1.0f;
  const row_operands operands = {*part, valid, write_blocks, *c};
  const auto accept = [](const gemm_chunk&, int32_t) { return BLOCKSPARSE_OK; };
  const auto run = [&](int32_t r, int32_t v) {
    kernel(operands.row(r, v), scale == nullptr ? none : scale[r]);
  };
  return for_each_row(operands, accept, run);
}

int32_t blocksparse_block_cross_entropy_f32(int32_t isa, int32_t link, const blocksparse_part* part,
                                            const int32_t* valid, int32_t write_blocks,
                                            const blocksparse_targets* targets, float* loss,
                                            const blocksparse_rows* c) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, targets, c) || (loss == nullptr && c->count > 0)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_link(link)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const auto losses = link == BLOCKSPARSE_SOFTMAX ? softmax_losses : logistic_losses;
  return losses(*kernels, {*part, valid, write_blocks, *c}, *targets, loss);
}
