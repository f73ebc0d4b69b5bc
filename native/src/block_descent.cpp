// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "large_sums.h"
#include "schedule.h"
#include "tiles_or_blas.h"

namespace blocksparse {
namespace {

struct descent_call {
  const kernel_table* kernels;
  int32_t isa, path;
  blocksparse_part gradient, step;
  blocksparse_rows x, y;
  float alpha;
  blocksparse_blocks w;
  blocksparse_sums c;

  // Returns whether both parts are of one block, in all its rows and columns.
  bool is_of_one_block() const {
    const auto whole = [&](const blocksparse_part& part) {
      return int64_t{part.end} - part.begin == 1 && part.column_begin == 0 &&
             part.column_end == w.in_size;
    };
    return whole(gradient) && whole(step) && int64_t{w.in_size} * w.out_size > kFewPairsBlock &&
           c.bias.data == nullptr;
  }

  // Returns whether products of both kinds run on tiles.
  bool runs_on_tiles(int32_t pairs) const {
    return !goes_to_blas(path, isa, operation::transposed, pairs, w.out_size, w.in_size) &&
           !goes_to_blas(path, isa, operation::outer, pairs, w.in_size, w.out_size);
  }

  float* place(int32_t in_block, int32_t out_block) const {
    return static_cast<float*>(w.data) + in_block * w.in_stride + out_block * w.out_stride;
  }

  // The block that a caller who runs one block at a time runs next, unchecked; after the last
  // block, that one again.
  const float* next_place(const outer_schedule& outer) const {
    const int32_t b = step.begin + 1 < outer.blocks &&
                              all_below({outer.x_block + step.begin + 1, 1}, w.in_blocks) &&
                              all_below({outer.y_block + step.begin + 1, 1}, w.out_blocks)
                          ? step.begin + 1
                          : step.begin;
    return place(outer.x_block[b], outer.y_block[b]);
  }

  // Runs both in one pass if that is faster and gives the same bits. Otherwise nothing is written,
  // and operands may be invalid.
  bool run_at_once() const {
    gemm_schedule plan = {};
    outer_schedule outer = {};
    if (!is_of_one_block() ||
        first_error(check_blocks(w), check_rows(x, w.in_size), check_rows(y, w.out_size),
                    check_rows(c.rows, w.in_size), gemm_schedule::parse(gradient, &plan),
                    outer_schedule::parse(step, &outer)) != BLOCKSPARSE_OK ||
        first_error(plan.check(gradient.begin, gradient.end, w.in_blocks, w.out_blocks, y.count,
                               c.rows.count),
                    outer.check(step.begin, step.end, w.in_blocks, w.out_blocks, x.count,
                                y.count)) != BLOCKSPARSE_OK) {
      return false;
    }
    const gemm_chunk chunk = plan.chunk(gradient.begin);
    const outer_block block = outer.block(step.begin);
    const int32_t pairs = block.x.count;
    if (chunk.segment_count != 1 || chunk.rows.count != pairs || pairs < 1 ||
        pairs > kMostDescentPairs || chunk.write_block != block.y_block || !runs_on_tiles(pairs)) {
      return false;
    }
    const gemm_segment segment = plan.segment(chunk, 0);
    if (segment.read.count != pairs || segment.read_block != block.x_block) {
      return false;
    }
    descent_work work = {};
    for (int32_t i = 0; i < pairs; ++i) {
      if (segment.write.position[i] != i || segment.read[i] != block.y[i]) {
        return false;
      }
      work.x[i] = x.data + block.x[i] * x.stride;
      work.y[i] = y.data + block.y[i] * y.stride;
      work.c[i] = c.rows.data + segment.write[i] * c.rows.stride;
    }
    if (sums_may_overflow(*kernels, alpha, {block.x, x.data, x.stride, w.in_size},
                          {block.y, y.data, y.stride, w.out_size})) {
      return false;
    }
    work.pairs = pairs;
    work.m = w.in_size;
    work.n = w.out_size;
    work.accumulate = c.accumulate == 1;
    work.alpha = alpha;
    work.w = place(block.x_block, block.y_block);
    work.ldw = w.ld;
    work.next_w = next_place(outer);
    return kernels->descend(work);
  }
};

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_descent_f32(int32_t isa, int32_t path, const blocksparse_part* gradient,
                                      const blocksparse_part* step, const blocksparse_rows* x,
                                      const blocksparse_rows* y, float alpha,
                                      const blocksparse_blocks* w, const blocksparse_sums* c,
                                      float* scratch, int64_t scratch_length) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(gradient, step, x, y, w, c)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_path(path) || !is_flag(c->accumulate) || w->transposed != 0 ||
      w->type != BLOCKSPARSE_FLOAT32 || !is_stored(w->type, w->data, w->scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const descent_call call = {kernels, isa, path, *gradient, *step, *x, *y, alpha, *w, *c};
  if (call.run_at_once()) {
    return BLOCKSPARSE_OK;
  }
  blocksparse_blocks transposed = *w;
  transposed.in_size = w->out_size;
  transposed.out_size = w->in_size;
  transposed.transposed = 1;
  const int32_t status = blocksparse_block_gemm_f32(isa, path, gradient, y, 0, &transposed, c,
                                                    scratch, scratch_length);
  return status != BLOCKSPARSE_OK ? status
                                  : blocksparse_block_outer_f32(isa, path, step, alpha, x, y, 1, w,
                                                                scratch, scratch_length);
}
