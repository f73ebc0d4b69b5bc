// SPDX-License-Identifier: Apache-2.0
//
// Sums of outer products by register tiles. See kernels.inl.
//
// A tile of the block written stays in registers while it walks through the pairs; in each step it
// multiplies up to 6 elements of a row of x by kTileVectors vectors of a row of y. Every element is
// one chain of fused multiply-adds in the order of the pairs, and is multiplied by alpha at the
// end.

namespace {

struct outer_tile_task {
  const float* const* x;
  const float* const* y;
  int32_t pairs;
  int32_t row, column;
  mask last;
  float alpha;
  float* o;  // the first element of the tile
  int64_t ldo;
};

template <int32_t Rows, int32_t Vectors, bool Partial, bool Accumulate>
struct outer_tile {
  static void run(const outer_tile_task& t) {
    const mask last = t.last;
    vec sum[Rows][Vectors];
    for (int32_t r = 0; r < Rows; ++r) {
      for (int32_t v = 0; v < Vectors; ++v) {
        sum[r][v] = set1(0.0f);
      }
    }
    const int64_t row = t.row;
    const int64_t column = t.column;
    const int64_t pairs = t.pairs;
    for (int64_t i = 0; i < pairs; ++i) {
      const float* const x = t.x[i] + row;
      const float* const y = t.y[i] + column;
      vec part[Vectors];
      for (int32_t v = 0; v < Vectors; ++v) {
        part[v] = load_part<Partial, Vectors>(y, v, last);
      }
      for (int32_t r = 0; r < Rows; ++r) {
        const vec factor = set1(x[r]);
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[r][v] = fma(factor, part[v], sum[r][v]);
        }
      }
    }
    const vec alpha = set1(t.alpha);
    for (int32_t r = 0; r < Rows; ++r) {
      float* const o = t.o + r * t.ldo;
      for (int32_t v = 0; v < Vectors; ++v) {
        const vec result = Accumulate
                               ? fma(alpha, sum[r][v], load_part<Partial, Vectors>(o, v, last))
                               : mul(alpha, sum[r][v]);
        store_part<Partial, Vectors>(o, v, result, last);
      }
    }
  }
};

// Bytes of y below which it stays in the first-level cache as a whole.
constexpr int64_t kSmallBytes = 16 << 10;

void outer(const outer_work& work) {
  const column_tiles tiles(work.n);
  const int32_t row_tiles = (work.m - 1) / kTileRows + 1;
  outer_tile_task task;
  task.x = work.x;
  task.y = work.y;
  task.pairs = work.pairs;
  task.alpha = work.alpha;
  task.ldo = work.ldo;
  // A few pairs: memory is the limit, and the block is written in the order in which it lies. Many:
  // the rows of y are reused column by column.
  const bool in_order = int64_t{work.pairs} * work.n * 4 <= kSmallBytes;
  const int32_t count = row_tiles * tiles.count();
  for (int32_t i = 0; i < count; ++i) {
    const int32_t j = in_order ? i % tiles.count() : i / row_tiles;
    task.row = (in_order ? i / tiles.count() : i % row_tiles) * kTileRows;
    task.column = tiles.begin(j);
    task.last = last_mask(tiles.width(j));
    task.o = work.o + task.row * work.ldo + task.column;
    kTiles<outer_tile_task, outer_tile>(task, least(work.m - task.row, kTileRows), tiles.width(j),
                                        work.accumulate);
  }
}

}  // namespace
