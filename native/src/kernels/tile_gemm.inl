// SPDX-License-Identifier: Apache-2.0
//
// Products by register tiles, without packing. See kernels.inl.
//
// A tile is up to 6 rows x kTileVectors vectors of sums. It walks down k and in each step
// multiplies one element of each row, read through a pointer, by one row of W. Rows thus need no
// gathering and W no packing. Every element of c is one chain of fused multiply-adds in the order
// of k, wherever it lies in a tile: its bits do not depend on the tiles.
//
// W is taken in pieces that stay in the second-level cache while all tiles use them. Meanwhile the
// next piece, of this block or of the next, is fetched into that cache at an even rate: in each
// step a tile prefetches one row of it, in its own columns. Few rows per block make memory the
// limit, and what a processor prefetches on its own helps little, as a tile reads short runs of
// many rows.
//
// Where W is transposed, the columns of a tile lie apart. Then a panel of it is transposed into the
// first-level cache, which costs about as much as multiplying three rows, and multiplied as above;
// so the bits are those of a block that was never transposed.

namespace {

// Rows of W in a piece: long enough that loading and storing the sums is small against the steps in
// between. With kPieceColumns, a piece has at most 128 KB, so that two fit in small caches.
constexpr int32_t kPieceRows = 64;
constexpr int32_t kMostPieceRows = 96;
constexpr int32_t kPieceColumns = 512;

// About kPieceRows, and no short piece at the end: it would have too few steps to fetch what
// follows.
INLINE int32_t piece_rows(int32_t k) {
  const int32_t pieces = k < kPieceRows ? 1 : (k - kPieceRows / 2) / kPieceRows + 1;
  return ((k - 1) / pieces / 16 + 1) * 16;
}

constexpr int32_t kTileLines = kTileColumns > kLineFloats ? kTileColumns / kLineFloats : 1;

alignas(64) constexpr float kZeros[kTileColumns] = {};

struct gemm_tile_task {
  const row_tile* rows;
  int32_t k_begin, k_end;
  int32_t column;
  mask last;
  block_view w;        // from its first row and column that the tile uses
  const float* begin;  // what the sums of every row begin with; NULL: with c
  const float* fetch;  // prefetched in the first step
  int64_t fetch_ld;    // and so much further in each step
};

// With AllLines a step prefetches a whole row of the tile's width, otherwise one cache line.
template <int32_t Rows, int32_t Vectors, bool Partial, bool AllLines>
struct gemm_tile {
  static void run(const gemm_tile_task& t) {
    const mask last = t.last;
    const float* const* const a = t.rows->a;
    float* const* const c = t.rows->c;
    vec sum[Rows][Vectors];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      const float* const from = t.begin != nullptr ? t.begin : c[r] + t.column;
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        sum[r][v] = load_part<Partial, Vectors>(from, v, last);
      }
    }

    const float* w = t.w.data;
    const int64_t ld = t.w.ld;
    const float* fetch = t.fetch;
    const int64_t fetch_ld = t.fetch_ld;
    const int64_t end = t.k_end;
    const float* row_of_a[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      row_of_a[r] = a[r];
    }
    for (int64_t p = t.k_begin; p < end; ++p) {
      vec row[Vectors];
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        row[v] = load_part<Partial, Vectors>(w, v, last);
      }
      UNROLL
      for (int32_t line = 0; line < (AllLines ? kTileLines : 1); ++line) {
        __builtin_prefetch(fetch + line * kLineFloats, 0, 2);
      }
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        const vec factor = set1(row_of_a[r][p]);
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[r][v] = fma(factor, row[v], sum[r][v]);
        }
      }
      w += ld;
      fetch += fetch_ld;
    }

    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        store_part<Partial, Vectors>(c[r] + t.column, v, sum[r][v], last);
      }
    }
  }
};

// What the sums of a piece begin with for all rows alike, or NULL: with what c holds.
INLINE const float* common_begin(const gemm_work& work, int32_t p, int32_t column) {
  if (p > 0 || work.begin == sums_begin::with_c) {
    return nullptr;
  }
  return work.begin == sums_begin::with_bias ? work.bias + column : kZeros;
}

// The caches fetch a line before it is written, even if nothing of it is read.
INLINE void prefetch_for_writing(const row_tile& tile, int32_t column, int32_t width) {
  for (int32_t r = 0; r < tile.rows; ++r) {
    for (int32_t q = 0; q < width; q += kLineFloats) {
      __builtin_prefetch(tile.c[r] + column + q, 1, 3);
    }
  }
}

// Rows [p, p + steps) of W in one tile's columns, times all rows. `next` is what to fetch
// meanwhile: each row of it by one step of one tile if there are few row tiles, line by line if
// there are many.
INLINE void multiply_piece(const gemm_work& work, int32_t p, int32_t steps, int32_t column,
                           int32_t width, block_view w, const block_view& next) {
  gemm_tile_task task;
  task.k_begin = p;
  task.k_end = p + steps;
  task.column = column;
  task.last = last_mask(width);
  task.w = w;
  task.begin = common_begin(work, p, column);
  const bool all_lines = work.tile_count < kTileLines;
  for (int32_t i = 0; i < work.tile_count; ++i) {
    const bool fetches = next.data != nullptr && i < (all_lines ? 1 : kTileLines);
    task.rows = &work.tiles[i];
    if (p == 0 && i + 1 < work.tile_count) {
      prefetch_for_writing(work.tiles[i + 1], column, width);
    }
    task.fetch = fetches ? next.data + i * kLineFloats : w.data;
    task.fetch_ld = fetches ? next.ld : 0;
    kTiles<gemm_tile_task, gemm_tile>(task, task.rows->rows, width, fetches && all_lines);
  }
}

INLINE block_view moved(const block_view& w, int64_t row, int32_t column) {
  return w.data == nullptr ? w : block_view{w.data + row * w.ld + column, w.ld};
}

void multiply_plain(const gemm_work& work) {
  const column_tiles tiles(work.columns);
  const int32_t most = piece_rows(work.k);
  const int32_t stripes = (work.columns - 1) / kPieceColumns + 1;
  for (int32_t s = 0; s < stripes; ++s) {
    const int32_t tile_begin = tiles.count() * s / stripes;
    const int32_t tile_end = tiles.count() * (s + 1) / stripes;
    for (int32_t p = 0; p < work.k; p += most) {
      const int32_t steps = least(work.k - p, most);
      // The piece below; or the first of the next stripe; or of the next block.
      block_view next = moved(work.next, 0, -tiles.begin(tile_begin));
      if (p + steps < work.k) {
        next = moved(work.w, p + steps, 0);
      } else if (s + 1 < stripes) {
        next = moved(work.w, 0, tiles.begin(tile_end) - tiles.begin(tile_begin));
      }
      for (int32_t j = tile_begin; j < tile_end; ++j) {
        const int32_t column = tiles.begin(j);
        multiply_piece(work, p, steps, column, tiles.width(j), moved(work.w, p, column),
                       moved(next, 0, column));
      }
    }
  }
}

// panel[p][q] = w[q][p] for q < kWidth and p < steps, at most kWidth; `part` is the mask of the
// steps.
template <typename Mask>
INLINE void transpose_square(const block_view& w, int32_t steps, Mask part, float* panel) {
  vec rows[kWidth];
  UNROLL
  for (int32_t i = 0; i < kWidth; ++i) {
    rows[i] = load(w.data + i * w.ld, part);
  }
  transpose(rows);
  UNROLL
  for (int32_t i = 0; i < kWidth; ++i) {
    if (i < steps) {
      store(panel + i * kTileColumns, rows[i]);
    }
  }
}

// panel[p][q] = w[q][p] for p < steps and q < columns.
void transpose_panel(const block_view& w, int32_t steps, int32_t columns, float* panel) {
  for (int32_t q = 0; q < columns; q += kWidth) {
    for (int32_t p = 0; p < steps; p += kWidth) {
      const block_view from = {w.data + q * w.ld + p, w.ld};
      float* const to = panel + p * kTileColumns + q;
      const int32_t rest = least(steps - p, kWidth);
      if (q + kWidth <= columns && rest == kWidth) {
        transpose_square(from, kWidth, all{}, to);
      } else if (q + kWidth <= columns) {
        transpose_square(from, rest, first(rest), to);
      } else {
        for (int32_t i = 0; i < columns - q; ++i) {
          for (int32_t l = 0; l < rest; ++l) {
            to[l * kTileColumns + i] = from.data[i * from.ld + l];
          }
        }
      }
    }
  }
}

void multiply_transposed(const gemm_work& work) {
  alignas(64) float panel[kMostPieceRows * kTileColumns];
  const int32_t most = piece_rows(work.k);
  const column_tiles tiles(work.columns);
  for (int32_t j = 0; j < tiles.count(); ++j) {
    const int32_t column = tiles.begin(j);
    const int32_t width = tiles.width(j);
    for (int32_t p = 0; p < work.k; p += most) {
      const int32_t steps = least(work.k - p, most);
      const float* const w = work.w.data + column * work.w.ld + p;
      transpose_panel({w, work.w.ld}, steps, width, panel);
      // Memory holds W by columns: the next elements of the same, or the next columns.
      block_view next = work.next;
      if (p + steps < work.k) {
        next = {w + steps, work.w.ld};
      } else if (j + 1 < tiles.count()) {
        next = moved(work.w, tiles.begin(j + 1), 0);
      }
      multiply_piece(work, p, steps, column, width, {panel, kTileColumns}, next);
    }
  }
}

// A few rows times a transposed W. Memory is the limit then, so W is read once, as it lies: as many
// of its rows as a vector has lanes, from end to end. They are transposed in registers, square by
// square, so that the sums are the same chains as everywhere else.
template <int32_t Rows>
void stream_transposed(const gemm_work& work) {
  const row_tile& tile = work.tiles[0];
  constexpr int32_t kSquareLines = (kWidth * kWidth - 1) / kLineFloats + 1;
  for (int32_t column = 0; column < work.columns; column += kWidth) {
    const int32_t width = least(work.columns - column, kWidth);
    const float* const begin = common_begin(work, 0, column);
    const mask part = first(width);
    vec sum[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      sum[r] = load(begin != nullptr ? begin : tile.c[r] + column, part);
    }
    const float* const w = work.w.data + column * work.w.ld;
    // The rows that follow these, or the next block.
    const float* fetch = column + kWidth < work.columns ? w + kWidth * work.w.ld : work.next.data;
    fetch = fetch == nullptr ? w : fetch;
    for (int32_t p = 0; p < work.k; p += kWidth) {
      const int32_t steps = least(work.k - p, kWidth);
      UNROLL
      for (int32_t line = 0; line < kSquareLines; ++line) {
        __builtin_prefetch(fetch + line * kLineFloats, 0, 2);
      }
      fetch += kWidth * kWidth;
      vec rows[kWidth];
      if (width == kWidth && steps == kWidth) {
        UNROLL
        for (int32_t i = 0; i < kWidth; ++i) {
          rows[i] = load(w + i * work.w.ld + p);
        }
        transpose(rows);
        UNROLL
        for (int32_t l = 0; l < kWidth; ++l) {
          UNROLL
          for (int32_t r = 0; r < Rows; ++r) {
            sum[r] = fma(set1(tile.a[r][p + l]), rows[l], sum[r]);
          }
        }
      } else {
        for (int32_t l = 0; l < steps; ++l) {
          float lanes[kWidth] = {};
          for (int32_t i = 0; i < width; ++i) {
            lanes[i] = w[i * work.w.ld + p + l];
          }
          UNROLL
          for (int32_t r = 0; r < Rows; ++r) {
            sum[r] = fma(set1(tile.a[r][p + l]), load(lanes), sum[r]);
          }
        }
      }
    }
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      store(tile.c[r] + column, sum[r], part);
    }
  }
}

void gemm(const gemm_work& work) {
  const int32_t rows = work.tile_count == 1 ? work.tiles[0].rows : kTileRows;
  if (work.w_transposed && rows <= 3) {
    (rows == 1   ? stream_transposed<1>
     : rows == 2 ? stream_transposed<2>
                 : stream_transposed<3>)(work);
  } else if (work.w_transposed) {
    multiply_transposed(work);
  } else {
    multiply_plain(work);
  }
}

}  // namespace
