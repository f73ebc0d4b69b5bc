// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstring>

#include "blas_permits.h"
#include "blas_products.h"
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "large_sums.h"
#include "schedule.h"
#include "tiles_or_blas.h"

namespace blocksparse {
namespace {

// Pairs that a tile processes at a time: with that many, the tile's part of y lies in the
// first-level cache. More pairs are added to the block in several rounds.
constexpr int32_t kMostPairs = 128;

// More than the caches of a core hold, private and shared: 32 MB.
constexpr int64_t kCachedFloats = int64_t{8} << 20;

// The part of a block that is written, m x n, and its rows: x and y are swapped if the block is
// stored transposed, so that o is always stored by rows of x.
struct outer_part {
  int32_t m, n;
  float alpha;
  indices x_rows;
  const float* x;
  int64_t ldx;
  indices y_rows;
  const float* y;
  int64_t ldy;
  bool accumulate;
  bool beyond_caches;    // whether all blocks that the schedule writes exceed the caches together
  bool holds_few_pairs;  // whether the block is small enough to take a few pairs all at once
  float* o;
  int64_t ldo;
  const float* next_o;  // the same part of the block that is written next, or NULL
};

outer_part swapped(const outer_part& p) {
  outer_part s = p;
  s.m = p.n;
  s.n = p.m;
  s.x_rows = p.y_rows;
  s.x = p.y;
  s.ldx = p.ldy;
  s.y_rows = p.x_rows;
  s.y = p.x;
  s.ldy = p.ldx;
  return s;
}

void write_zeros(const outer_part& p) {
  for (int32_t r = 0; r < p.m; ++r) {
    std::memset(p.o + r * p.ldo, 0, sizeof(float) * static_cast<std::size_t>(p.n));
  }
}

void run_on_blas(const outer_part& p, float* scratch, int64_t scratch_length) {
  blas_outer product;
  product.m = p.m;
  product.n = p.n;
  product.alpha = p.alpha;
  product.x = p.x;
  product.ldx = p.ldx;
  product.y = p.y;
  product.ldy = p.ldy;
  product.accumulate = p.accumulate;
  product.o = p.o;
  product.ldo = p.ldo;
  product.scratch = scratch;
  product.scratch_length = scratch_length;
  product.multiply(p.x_rows, p.y_rows);
}

constexpr int32_t kLineFloats = 16;  // the floats of a cache line

// Returns whether a part is written once, as whole and aligned cache lines, and not read again
// soon.
bool may_stream(const outer_part& p) {
  return p.beyond_caches && !p.accumulate && p.x_rows.count <= kMostPairs &&
         p.n % kLineFloats == 0 && p.ldo % kLineFloats == 0 &&
         reinterpret_cast<uintptr_t>(p.o) % (kLineFloats * sizeof(float)) == 0;
}

void run_on_tiles(const outer_part& p, const kernel_table& kernels) {
  const float* x[kMostPairs];
  const float* y[kMostPairs];
  outer_work work;
  work.x = x;
  work.y = y;
  work.m = p.m;
  work.n = p.n;
  work.alpha = p.alpha;
  work.o = p.o;
  work.ldo = p.ldo;
  for (int64_t begin = 0; begin < p.x_rows.count; begin += kMostPairs) {
    const int64_t left = p.x_rows.count - begin;
    const int32_t pairs = left < kMostPairs ? static_cast<int32_t>(left) : kMostPairs;
    for (int32_t i = 0; i < pairs; ++i) {
      x[i] = p.x + p.x_rows.data[begin + i] * p.ldx;
      y[i] = p.y + p.y_rows.data[begin + i] * p.ldy;
    }
    work.pairs = pairs;
    work.accumulate = p.accumulate || begin > 0;
    work.stream = may_stream(p);
    work.next_o = pairs < left ? p.o : p.next_o;
    kernels.outer(work);
  }
}

// kFewPairsBlock for narrow tiles in memory: they write less than a cache line of each row, which
// costs more there than in the caches.
constexpr int64_t kFewPairsNarrowBlock = 1024;

// The limit for a block that is added to, which may be larger: it was read for the gradient of h,
// and it and the next one, which is prefetched, are in the second-level cache.
constexpr int64_t kFewPairsAddedBlock = 128 << 10;

bool has_few_pairs(const outer_part& p) { return p.x_rows.count <= kFewPairs && p.holds_few_pairs; }

bool takes_all_at_once(const outer_part& p, const kernel_table& kernels) {
  return has_few_pairs(p) && (int64_t{p.m} * p.n <= kFewPairsNarrowBlock ||
                              kernels.tile_columns >= kLineFloats || !p.beyond_caches);
}

// Returns the common part of all blocks of a call.
outer_pairs_work few_pairs_of(const outer_part& p) {
  outer_pairs_work work = {};
  work.x = p.x;
  work.ldx = p.ldx;
  work.y = p.y;
  work.ldy = p.ldy;
  work.m = p.m;
  work.n = p.n;
  work.alpha = p.alpha;
  work.accumulate = p.accumulate;
  work.ldo = p.ldo;
  return work;
}

void run_few_pairs(const outer_part& p, const kernel_table& kernels, outer_pairs_work* work) {
  work->x_rows = p.x_rows.data;
  work->y_rows = p.y_rows.data;
  work->pairs = p.x_rows.count;
  work->stream = may_stream(p);
  work->o = p.o;
  work->next_o = p.next_o != nullptr ? p.next_o : p.o;
  kernels.outer_pairs(*work);
}

// For numbers so large that sums would overflow. This is rare and need not be fast.
void run_in_double(const outer_part& p) {
  for (int32_t r = 0; r < p.m; ++r) {
    for (int32_t q = 0; q < p.n; ++q) {
      double sum = 0.0;
      for (int32_t i = 0; i < p.x_rows.count; ++i) {
        sum += static_cast<double>(p.x[p.x_rows[i] * p.ldx + r]) *
               static_cast<double>(p.y[p.y_rows[i] * p.ldy + q]);
      }
      float* const o = p.o + r * p.ldo + q;
      const double before = p.accumulate ? static_cast<double>(*o) : 0.0;
      *o = static_cast<float>(before + static_cast<double>(p.alpha) * sum);
    }
  }
}

// A call, whose operands are checked before anything is written.
struct outer_call {
  const kernel_table* kernels;
  int32_t isa, path;
  outer_schedule plan;
  blocksparse_part part;
  float alpha;
  blocksparse_rows x, y;
  bool accumulate;
  blocksparse_blocks o;
  bool beyond_caches;
  float* scratch;
  int64_t scratch_length;

  blocksparse_status check() const {
    const blocksparse_status status =
        first_error(check_rows(x, o.in_size), check_rows(y, o.out_size), check_blocks(o),
                    may_go_to_blas(path, isa, operation::outer, o.in_size, o.out_size)
                        ? check_scratch(scratch, scratch_length, o.in_size, o.out_size)
                        : BLOCKSPARSE_OK);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
    if (!is_range(part.column_begin, part.column_end, o.in_size) || !is_blas_size(o.ld)) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    return plan.check(part.begin, part.end, o.in_blocks, o.out_blocks, x.count, y.count);
  }

  // Returns the requested part of a block.
  float* place(int32_t b) const {
    return static_cast<float*>(o.data) + plan.x_block[b] * o.in_stride +
           plan.y_block[b] * o.out_stride + part.column_begin * (o.transposed == 1 ? 1 : o.ld);
  }

  // The part of block b after the last one of a call, or NULL if there is none. It is prefetched,
  // unchecked: a caller that runs blocks one by one runs that one next. Small blocks run many at a
  // time: another thread writes the next one.
  const float* place_after(int32_t b) const {
    const bool runs_alone = accumulate && int64_t{o.in_size} * o.out_size > kFewPairsBlock;
    return runs_alone && b < plan.blocks && all_below({plan.x_block + b, 1}, o.in_blocks) &&
                   all_below({plan.y_block + b, 1}, o.out_blocks)
               ? place(b)
               : nullptr;
  }

  // The common part of all blocks.
  outer_part common_part() const {
    outer_part all = {};
    all.m = part.column_end - part.column_begin;
    all.n = o.out_size;
    all.alpha = alpha;
    all.x = x.count > 0 ? x.data + part.column_begin : nullptr;  // without rows it may be null
    all.ldx = x.stride;
    all.y = y.data;
    all.ldy = y.stride;
    all.accumulate = accumulate;
    all.beyond_caches = beyond_caches;
    all.holds_few_pairs =
        int64_t{all.m} * all.n <= (accumulate ? kFewPairsAddedBlock : kFewPairsBlock);
    all.ldo = o.ld;
    return o.transposed == 1 ? swapped(all) : all;
  }

  blocksparse_status write(const outer_block& block, const outer_part& to,
                           outer_pairs_work* few_pairs) const {
    if (block.x.count == 0) {
      if (!accumulate) {
        write_zeros(to);
      }
      return BLOCKSPARSE_OK;
    }
    // (With a factor of 0, BLAS returns without reading the rows, which would hide a NaN in them.)
    const bool on_blas = alpha != 0.0f && goes_to_blas(path, isa, operation::outer, block.x.count,
                                                       o.in_size, o.out_size);
    // Tiles check their sums themselves, which rounds differently. The result must not depend on
    // whether few pairs go there, since that depends on the number of blocks of a call.
    if ((on_blas || has_few_pairs(to)) &&
        sums_may_overflow(*kernels, to.alpha, {to.x_rows, to.x, to.ldx, to.m},
                          {to.y_rows, to.y, to.ldy, to.n})) {
      run_in_double(to);
      return BLOCKSPARSE_OK;
    }
    if (on_blas) {
      const blas_permit permit;
      if (permit.granted()) {
        run_on_blas(to, scratch, scratch_length);
        return BLOCKSPARSE_OK;
      }
      if (path == BLOCKSPARSE_PATH_BLAS) {
        return BLOCKSPARSE_NO_MEMORY;
      }
    }
    if (takes_all_at_once(to, *kernels)) {
      run_few_pairs(to, *kernels, few_pairs);
    } else {
      run_on_tiles(to, *kernels);
    }
    return BLOCKSPARSE_OK;
  }

  blocksparse_status run() const {
    if (part.column_begin == part.column_end || o.out_size == 0) {
      return BLOCKSPARSE_OK;
    }
    outer_part to = common_part();
    outer_pairs_work few_pairs = few_pairs_of(to);
    blocksparse_status status = BLOCKSPARSE_OK;
    for (int32_t b = part.begin; b < part.end && status == BLOCKSPARSE_OK; ++b) {
      const outer_block block = plan.block(b);
      to.x_rows = o.transposed == 1 ? block.y : block.x;
      to.y_rows = o.transposed == 1 ? block.x : block.y;
      to.o = place(b);
      to.next_o = b + 1 < part.end ? place(b + 1) : place_after(b + 1);
      status = write(block, to, &few_pairs);
    }
    if (beyond_caches) {
      kernels->end_streams();
    }
    return status;
  }
};

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_outer_f32(int32_t isa, int32_t path, const blocksparse_part* part,
                                    float alpha, const blocksparse_rows* x,
                                    const blocksparse_rows* y, int32_t accumulate,
                                    const blocksparse_blocks* o, float* scratch,
                                    int64_t scratch_length) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, x, y, o)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_path(path) || !is_flag(accumulate) || !is_flag(o->transposed) ||
      o->type != BLOCKSPARSE_FLOAT32 || !is_stored(o->type, o->data, o->scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  outer_schedule plan = {};
  blocksparse_status status = outer_schedule::parse(*part, &plan);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  // Blocks that share their memory stay in the caches, whatever their number.
  const bool shared = o->in_stride == 0 && o->out_stride == 0;
  const int64_t columns = o->out_size > 0 ? o->out_size : 1;
  const bool beyond_caches = !shared && int64_t{plan.blocks} * o->in_size > kCachedFloats / columns;
  const outer_call call = {
      kernels,         isa, path,          plan,    *part,         alpha, *x, *y,
      accumulate == 1, *o,  beyond_caches, scratch, scratch_length};
  status = call.check();
  return status == BLOCKSPARSE_OK ? call.run() : status;
}
