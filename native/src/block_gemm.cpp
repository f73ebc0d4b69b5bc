// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "blas_permits.h"
#include "blas_products.h"
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "initial_rows.h"
#include "kernels/kernel_table.h"
#include "schedule.h"
#include "tiles_or_blas.h"

namespace blocksparse {
namespace {

// Enough tiles to spread the prefetches of a block over.
static_assert(kMostTiles == BLOCKSPARSE_CHUNK_ROWS / kTileRows, "the rows of a chunk at once");

// The checked operands of a call.
struct gemm_call {
  const kernel_table* kernels;
  gemm_schedule plan;
  blocksparse_part part;
  int32_t columns;
  blocksparse_rows a;
  bool rounds_a;  // whether a is rounded to bfloat16
  blocksparse_blocks w;
  blocksparse_sums c;
  float* scratch;
  int64_t scratch_length;

  element_type w_type() const { return static_cast<element_type>(w.type); }

  // The requested columns of a block.
  block_view block(int32_t read_block, int32_t write_block) const {
    const int64_t element = read_block * w.in_stride + write_block * w.out_stride +
                            part.column_begin * (w.transposed == 1 ? w.ld : 1);
    const int64_t scale = read_block * w.scales_in_stride + write_block * w.scales_out_stride +
                          (w.transposed == 1 ? 0 : part.column_begin);
    return {static_cast<const char*>(w.data) + element * bytes_of(w_type()), w.ld,
            w.scales == nullptr ? nullptr : w.scales + scale};
  }

  const float* bias_of(const gemm_chunk& chunk) const {
    return c.bias.data == nullptr
               ? nullptr
               : c.bias.data + chunk.write_block * c.bias.stride + part.column_begin;
  }

  float* row(int32_t r) const { return c.rows.data + r * c.rows.stride + part.column_begin; }

  void initialise(const gemm_chunk& chunk) const {
    initialise_rows(chunk.rows, bias_of(chunk), part.column_begin, columns, c.rows);
  }
};

void run_on_blas(const gemm_call& call, const gemm_chunk& chunk) {
  if (call.c.accumulate == 0) {
    call.initialise(chunk);
  }
  for (int32_t s = 0; s < chunk.segment_count && call.w.in_size > 0; ++s) {
    const gemm_segment segment = call.plan.segment(chunk, s);
    if (segment.read.count > 0) {
      const block_view block = call.block(segment.read_block, chunk.write_block);
      blas_gemm product;
      product.k = call.w.in_size;
      product.n = call.columns;
      product.a = call.a.data;
      product.lda = call.a.stride;
      product.w = static_cast<const float*>(block.data);
      product.ldw = block.ld;
      product.w_transposed = call.w.transposed == 1;
      product.c = call.row(0);
      product.ldc = call.c.rows.stride;
      product.scratch = call.scratch;
      product.scratch_length = call.scratch_length;
      product.multiply(segment.read, segment.write);
    }
  }
}

// Returns the mean number of rows of a product in a checked chunk.
int32_t pairs_per_segment(const gemm_schedule& plan, const gemm_chunk& chunk) {
  if (chunk.segment_count == 0) {
    return 0;
  }
  const int32_t* const start = plan.pair_start + chunk.segment_begin;
  return (start[chunk.segment_count] - start[0]) / chunk.segment_count;
}

// Pairs that the kernel takes at a time.
constexpr int32_t kQueuedPairs = 128;

// The largest block, in elements, whose products with few rows are computed pair by pair. Products
// with a transposed block are dot products: there, tiles of several rows share what they read.
constexpr int64_t kPairedBlock = 4096;
constexpr int64_t kPairedTransposedBlock = 1024;

// The columns of a register tile as wide as a small block.
constexpr int32_t kWideTile = 64;

// Twice the mean number of rows for each block of a chunk that counts as few. Wide tiles gain from
// a second row if the block has more elements than kTwoRowsBlock.
constexpr int64_t kTwoRowsBlock = 1024;
constexpr int64_t kTwiceFewRows = 6;
constexpr int64_t kTwiceFewRowsForWideTiles = 3;

// The most rows whose products with a transposed block of any size are dot products.
constexpr int32_t kLeastDotRows = 2;

// Returns whether the blocks of a chunk have few rows, and each at least one.
bool has_few_rows(const gemm_schedule& plan, const gemm_chunk& chunk, int64_t twice_few_rows) {
  const indices starts = {plan.pair_start + chunk.segment_begin, chunk.segment_count + 1};
  return starts[chunk.segment_count] - starts[0] <= twice_few_rows * chunk.segment_count / 2 &&
         rises(starts);
}

// A queue of products of small float blocks with few rows, from many chunks, in their order.
class pair_queue {
 public:
  explicit pair_queue(const gemm_call& call) : call_(call) {}

  void add(const gemm_chunk& chunk) {
    const int32_t* const starts = call_.plan.pair_start + chunk.segment_begin;
    const int32_t begin = starts[0];
    const int32_t end = starts[chunk.segment_count];
    if (call_.c.accumulate == 0) {
      call_.initialise(chunk);
    }
    int32_t segment = chunk.segment_begin;
    for (int32_t p = begin; p < end;) {
      const int32_t room = kQueuedPairs + kPairsAhead - count_;
      const int32_t next = end - p < room ? end : p + room;
      segment = append(chunk, segment, p, next);
      p = next;
      if (count_ == kQueuedPairs + kPairsAhead) {
        run(kQueuedPairs);
        std::memcpy(pairs_, pairs_ + kQueuedPairs, sizeof(row_and_block) * kPairsAhead);
        count_ = kPairsAhead;
      }
    }
  }

  // Runs the remaining pairs of all chunks.
  void finish() {
    if (count_ > 0) {
      std::fill_n(pairs_ + count_, kPairsAhead, pairs_[count_ - 1]);
      run(count_);
    }
  }

 private:
  // Appends the pairs [begin, end), the first of which belongs to `segment` or the one after it.
  // Returns the segment of the last. A loop over the pairs of each segment would end in a branch
  // that no processor predicts.
  int32_t append(const gemm_chunk& chunk, int32_t segment, int32_t begin, int32_t end) {
    const gemm_schedule plan = call_.plan;
    const float* const a = call_.a.data;
    const int64_t lda = call_.a.stride;
    float* const c = call_.row(0);
    const int64_t ldc = call_.c.rows.stride;
    const float* const w = static_cast<const float*>(call_.block(0, chunk.write_block).data);
    const int64_t stride = call_.w.in_stride;
    row_and_block* to = pairs_ + count_;
    for (int32_t p = begin; p < end; ++p, ++to) {
      segment += static_cast<int32_t>(plan.pair_start[segment + 1] == p);
      to->a = a + plan.pair_read[p] * lda;
      to->c = c + chunk.rows[plan.pair_write[p]] * ldc;
      to->w = w + plan.read_block[segment] * stride;
    }
    count_ += end - begin;
    return segment;
  }

  void run(int32_t count) const {
    call_.kernels->gemm_pairs(
        {pairs_, count, call_.w.in_size, call_.columns, call_.w.ld, call_.w.transposed == 1});
  }

  const gemm_call& call_;
  int32_t count_ = 0;
  row_and_block pairs_[kQueuedPairs + 2 * kPairsAhead];
};

// Returns whether the first segment writes each row of the chunk once. Its product then starts with
// the bias or 0, and the rows need no initialization.
bool covers_rows_once(const gemm_schedule& plan, const gemm_chunk& chunk) {
  if (chunk.segment_count == 0) {
    return false;
  }
  const written_rows write = plan.segment(chunk, 0).write;
  bool covers = write.count == chunk.rows.count;
  for (int32_t i = 0; covers && i < write.count; ++i) {
    covers = write.position[i] == i;
  }
  return covers;
}

// Pairs of a block that are taken at a time: as many as fit in the tiles.
constexpr int32_t kPairsAtOnce = kMostTiles * kTileRows;

// Makes tiles of nearly equal height: a tile of one row has too few sums to keep the multipliers
// busy.
int32_t tile_height(int32_t rows) {
  return rows <= kTileRows ? rows : (rows - 1) / ((rows - 1) / kTileRows + 1) + 1;
}

// Makes tiles of the pairs [begin, end) that write their row for the first time, or after `turn`
// others. Returns whether some pairs remain for later turns. Repeats follow each other. Tiles that
// are multiplied together, one piece of W after the other, write different rows, so that a row's
// sum adds one product after the other, whatever the pieces are: the bits are equal for all types
// of W.
bool make_tiles(const gemm_call& call, const gemm_segment& segment, int32_t begin, int32_t end,
                int32_t turn, row_tile* tiles, int32_t* tile_count) {
  const int32_t* const written = segment.write.position;
  const auto follows = [written, begin](int32_t i, int32_t others) {
    return i - others >= begin && written[i - others] == written[i];
  };
  bool later = false;
  int32_t count = 0;
  for (int32_t i = begin; i < end;) {
    row_tile& tile = tiles[count];
    const int32_t most = tile_height(end - i);
    int32_t rows = 0;
    for (; i < end && rows < most; ++i) {
      if (follows(i, turn + 1)) {
        later = true;
      } else if (follows(i, turn)) {
        tile.a[rows] = call.a.data + segment.read[i] * call.a.stride;
        tile.c[rows] = call.row(segment.write[i]);
        ++rows;
      }
    }
    if (rows > 0) {
      tile.rows = rows;
      ++count;
    }
  }
  *tile_count = count;
  return later;
}

// Takes at most `most` pairs of a block at a time.
void run_on_tiles(const gemm_call& call, const gemm_chunk& chunk, block_view next_chunk,
                  int32_t most) {
  const bool fused =
      call.c.accumulate == 0 && call.w.in_size > 0 && covers_rows_once(call.plan, chunk);
  if (call.c.accumulate == 0 && !fused) {
    call.initialise(chunk);
  }
  if (call.w.in_size == 0) {
    return;
  }
  const auto multiply = call.rounds_a ? call.kernels->gemm_rounded : call.kernels->gemm;
  row_tile tiles[kMostTiles];
  gemm_work work;
  work.tiles = tiles;
  work.k = call.w.in_size;
  work.columns = call.columns;
  work.w_type = call.w_type();
  work.w_transposed = call.w.transposed == 1;
  work.bias = call.bias_of(chunk);
  for (int32_t s = 0; s < chunk.segment_count; ++s) {
    const gemm_segment segment = call.plan.segment(chunk, s);
    work.w = call.block(segment.read_block, chunk.write_block);
    work.begin = s > 0 || !fused        ? sums_begin::with_c
                 : work.bias != nullptr ? sums_begin::with_bias
                                        : sums_begin::with_zero;
    for (int32_t i = 0, end = 0; i < segment.read.count; i = end) {
      end = segment.read.count - i > most ? i + most : segment.read.count;
      if (end < segment.read.count) {
        work.next = work.w;
      } else if (s + 1 < chunk.segment_count) {
        work.next = call.block(call.plan.segment(chunk, s + 1).read_block, chunk.write_block);
      } else {
        work.next = next_chunk;
      }
      bool later = true;
      for (int32_t turn = 0; later; ++turn) {
        later = make_tiles(call, segment, i, end, turn, tiles, &work.tile_count);
        multiply(work);
        work.next = {nullptr, 0, nullptr};  // is prefetched
      }
    }
  }
}

// The first block of chunk c, unchecked except for where its segments begin: the chunk before ends
// there. No block if there is no such chunk. It is prefetched even if this call ends before it: a
// caller that runs chunks one by one runs that one next. (Without elements w may be null, and
// nothing may be added to that.)
block_view first_block(const gemm_call& call, int32_t c) {
  if (c >= call.plan.chunks || call.w.in_size == 0) {
    return {nullptr, 0, nullptr};
  }
  const int32_t s = call.plan.segment_start[c];
  if (s == call.plan.segments || !all_below({call.plan.write_block + c, 1}, call.w.out_blocks) ||
      !all_below({call.plan.read_block + s, 1}, call.w.in_blocks)) {
    return {nullptr, 0, nullptr};
  }
  return call.block(call.plan.read_block[s], call.plan.write_block[c]);
}

// Checks what `call` holds, then runs its chunks.
int32_t run_checked(gemm_call call, int32_t isa, int32_t path) {
  const blocksparse_part& part = call.part;
  const blocksparse_rows &a = call.a, &bias = call.c.bias, &c = call.c.rows;
  const int32_t k = call.w.in_size, n = call.w.out_size, blocks = call.w.out_blocks;
  const operation what = call.w.transposed == 1 ? operation::transposed : operation::forward;
  blocksparse_status status = first_error(
      gemm_schedule::parse(part, &call.plan), check_rows(a, k), check_blocks(call.w),
      bias.data == nullptr ? BLOCKSPARSE_OK : check_rows(bias, n), check_rows(c, n),
      may_go_to_blas(path, isa, what, k, n) ? check_scratch(call.scratch, call.scratch_length, k, n)
                                            : BLOCKSPARSE_OK);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(part.column_begin, part.column_end, n) || !is_blas_size(call.w.ld) ||
      (bias.data != nullptr && bias.count < blocks)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  status = call.plan.check(part.begin, part.end, call.w.in_blocks, blocks, a.count, c.count);
  call.columns = part.column_end - part.column_begin;
  if (status != BLOCKSPARSE_OK || call.columns == 0) {
    return status;
  }

  const int64_t most = call.w.transposed == 1 ? kPairedTransposedBlock : kPairedBlock;
  const int64_t elements = int64_t{k} * n;
  const bool small = k > 0 && elements <= most;
  const int64_t twice_few_rows = call.kernels->tile_columns >= kWideTile && elements > kTwoRowsBlock
                                     ? kTwiceFewRowsForWideTiles
                                     : kTwiceFewRows;
  pair_queue queue(call);
  for (int32_t i = part.begin; i < part.end; ++i) {
    const gemm_chunk chunk = call.plan.chunk(i);
    if (goes_to_blas(path, isa, what, pairs_per_segment(call.plan, chunk), k, n)) {
      const blas_permit permit;
      if (permit.granted()) {
        run_on_blas(call, chunk);
        continue;
      }
      if (path == BLOCKSPARSE_PATH_BLAS) {
        return BLOCKSPARSE_NO_MEMORY;
      }
    }
    if (!small || !has_few_rows(call.plan, chunk, twice_few_rows)) {
      run_on_tiles(call, chunk, first_block(call, i + 1), kPairsAtOnce);
    } else if (call.w_type() == element_type::float32) {
      queue.add(chunk);
    } else {
      // There are so few pairs that no panel of a transposed block is made: this gives the bits of float32 blocks.
      run_on_tiles(call, chunk, first_block(call, i + 1),
                   call.w.transposed == 1 ? kLeastDotRows : kPairsAtOnce);
    }
  }
  queue.finish();
  return BLOCKSPARSE_OK;
}

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_block_gemm_f32(int32_t isa, int32_t path, const blocksparse_part* part,
                                   const blocksparse_rows* a, int32_t round_a,
                                   const blocksparse_blocks* w, const blocksparse_sums* c,
                                   float* scratch, int64_t scratch_length) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, a, w, c)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_path(path) || !is_flag(w->transposed) || !is_flag(c->accumulate) ||
      (c->accumulate == 1 && c->bias.data != nullptr) || !is_flag(round_a) ||
      (round_a == 1 && (w->type != BLOCKSPARSE_BFLOAT16 || w->transposed == 1)) ||
      !is_stored(w->type, w->data, w->scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  return run_checked({kernels, {}, *part, 0, *a, round_a == 1, *w, *c, scratch, scratch_length},
                     isa, path_of(path, w->type));
}
