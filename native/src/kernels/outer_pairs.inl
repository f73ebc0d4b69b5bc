// SPDX-License-Identifier: Apache-2.0
//
// Outer products of a few pairs in small blocks, and added to larger ones. See all_kernels.inl.
//
// Each tile of outer_tiles.inl loops over the pairs, and its last branch is mispredicted: for one
// or two pairs that takes longer than the products. Here the number of pairs chooses the function,
// once for a block, whose rows of y stay in registers while it walks down the rows. Each element
// has the same bits as by the tiles.

namespace {

// Adds to a block of more than kFewPairsBlock elements; the next one is prefetched into the
// second-level cache.
constexpr int32_t kAddToLarge = kOutputs;
constexpr int32_t kOutputsOfPairs = kOutputs + 1;

// Rows of a larger block that are written before the next columns, so that memory is read and
// written nearly in order.
constexpr int32_t kRowsOfLargeBlock = 32;

struct outer_pairs_task {
  const outer_pairs_work* work;
  int32_t column;
  mask last;
  int32_t row, rows;  // in a large block; otherwise all rows
};

template <int32_t Pairs, int32_t Vectors, bool Partial, int32_t Output>
struct outer_pairs_tile {
  static void run(const outer_pairs_task& t) {
    const outer_pairs_work& work = *t.work;
    const mask last = t.last;
    const int64_t row = Output == kAddToLarge ? t.row : 0;
    const int64_t rows = Output == kAddToLarge ? t.rows : work.m;
    const float* x[Pairs];
    vec y[Pairs][Vectors];
    UNROLL
    for (int32_t i = 0; i < Pairs; ++i) {
      x[i] = work.x + work.x_rows[i] * work.ldx + row;
      const float* const from = work.y + work.y_rows[i] * work.ldy + t.column;
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        y[i][v] = load_part<Partial, Vectors>(from, v, last);
      }
    }
    const vec alpha = set1(work.alpha);
    const int64_t begin = row * work.ldo + t.column;
    float* o = work.o + begin;
    const float* next = work.next_o + begin;
    for (int64_t r = 0; r < rows; ++r) {
      vec sum[Vectors];
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        sum[v] = set1(0.0f);
      }
      UNROLL
      for (int32_t i = 0; i < Pairs; ++i) {
        const vec factor = set1(x[i][r]);
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[v] = fma(factor, y[i][v], sum[v]);
        }
      }
      UNROLL
      for (int32_t q = 0; q < Vectors * kWidth; q += kLineFloats) {
        if constexpr (Output == kAddToLarge) {
          __builtin_prefetch(next + q, 0, 2);
        } else if constexpr (Output != kStream) {
          __builtin_prefetch(next + q, 1, 3);
        }
      }
      write_sums<Vectors, Partial, Output == kAddToLarge ? kAdd : Output>(o, sum, alpha, last);
      o += work.ldo;
      next += work.ldo;
    }
  }
};

// Apart from outer_pairs: its small blocks would pay for the loop over rows.
void add_pairs_to_large_block(const outer_pairs_work& work) {
  for (int32_t row = 0, rows = 0; row < work.m; row += rows) {
    rows = least(work.m - row, kRowsOfLargeBlock);
    for (int32_t column = 0; column < work.n; column += kTileColumns) {
      const int32_t width = least(work.n - column, kTileColumns);
      const outer_pairs_task task = {&work, column, last_mask(width), row, rows};
      kTiles<outer_pairs_task, outer_pairs_tile, kOutputsOfPairs>(task, work.pairs, width,
                                                                  kAddToLarge);
    }
  }
}

void outer_pairs(const outer_pairs_work& work) {
  if (work.accumulate && int64_t{work.m} * work.n > kFewPairsBlock) {
    return add_pairs_to_large_block(work);
  }
  // Tiles of equal width would need a division, which takes as long as a block.
  for (int32_t column = 0; column < work.n; column += kTileColumns) {
    const int32_t width = least(work.n - column, kTileColumns);
    const outer_pairs_task task = {&work, column, last_mask(width), 0, work.m};
    kTiles<outer_pairs_task, outer_pairs_tile, kOutputsOfPairs>(
        task, work.pairs, width, output_of(work.stream, work.accumulate));
  }
}

}  // namespace
