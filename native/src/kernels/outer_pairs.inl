// SPDX-License-Identifier: Apache-2.0
//
// Outer products of a few pairs in small blocks. See all_kernels.inl.
//
// The tiles of outer_tiles.inl walk through the pairs, each of them, and where they end cannot be
// foreseen: for one or two pairs that takes longer than the products. Here the number of pairs
// chooses the function, once for a block, whose rows of y stay in registers while it walks down the
// rows. Each element has the bits that the tiles make of it.

namespace {

struct outer_pairs_task {
  const outer_pairs_work* work;
  int32_t column;
  mask last;
};

template <int32_t Pairs, int32_t Vectors, bool Partial, int32_t Output>
struct outer_pairs_tile {
  static void run(const outer_pairs_task& t) {
    const outer_pairs_work& work = *t.work;
    const mask last = t.last;
    const float* x[Pairs];
    vec y[Pairs][Vectors];
    UNROLL
    for (int32_t i = 0; i < Pairs; ++i) {
      x[i] = work.x + work.x_rows[i] * work.ldx;
      const float* const row = work.y + work.y_rows[i] * work.ldy + t.column;
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        y[i][v] = load_part<Partial, Vectors>(row, v, last);
      }
    }
    const vec alpha = set1(work.alpha);
    float* o = work.o + t.column;
    const float* next = work.next_o + t.column;
    const int64_t m = work.m;
    for (int64_t r = 0; r < m; ++r) {
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
      if constexpr (Output != kStream) {
        UNROLL
        for (int32_t q = 0; q < Vectors * kWidth; q += kLineFloats) {
          __builtin_prefetch(next + q, 1, 3);
        }
      }
      write_sums<Vectors, Partial, Output>(o, sum, alpha, last);
      o += work.ldo;
      next += work.ldo;
    }
  }
};

void outer_pairs(const outer_pairs_work& work) {
  // Tiles of equal width would need a division, which takes as long as a block.
  for (int32_t column = 0; column < work.n; column += kTileColumns) {
    const int32_t width = least(work.n - column, kTileColumns);
    const outer_pairs_task task = {&work, column, last_mask(width)};
    kTiles<outer_pairs_task, outer_pairs_tile, kOutputs>(task, work.pairs, width,
                                                         output_of(work.stream, work.accumulate));
  }
}

}  // namespace
