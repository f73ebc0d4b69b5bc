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
// step a tile prefetches a line of it, or a row in its own columns. Few rows per block make memory
// the limit, and what a processor prefetches on its own helps little, as a tile reads short runs of
// many rows.
//
// Where W is transposed, the columns of a tile lie apart. For few rows, each element of c is then a
// dot product of two rows as they lie, with a sum in each lane. For many, a panel of W is transposed
// into the first-level cache, which costs about as much as multiplying four rows, and multiplied as
// above.

namespace {

// Rows and columns of W in a piece. Two pieces of 128 KB fit in small caches. A few row tiles are
// soon done with a piece: it is short then, and as wide as the block, so that memory is read in one
// run, unless the block is too wide for that. Many tiles pay with every piece for loading and
// storing their sums: it is long and narrow.
struct piece_size {
  int32_t rows, columns;
};
constexpr piece_size kPieceOfFewTiles = {64, 512};
constexpr piece_size kPieceOfWideBlocks = {128, 256};
constexpr piece_size kPieceOfManyTiles = {512, 128};
constexpr piece_size kPieceOfPanels = {96, 512};
constexpr int32_t kManyTiles = 8;

// About `most`, and no short piece at the end: it would have too few steps to fetch what follows.
INLINE int32_t piece_rows(int32_t k, int32_t most) {
  const int32_t pieces = k < most ? 1 : (k - most / 2) / most + 1;
  return ((k - 1) / pieces / 16 + 1) * 16;
}

// Cache lines of a row of a tile: 1 or 4.
constexpr int32_t kTileLines = kTileColumns > kLineFloats ? kTileColumns / kLineFloats : 1;
constexpr int32_t kFetchVariants = kTileLines == 4 ? 3 : 1;

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

// Each step prefetches 2^FetchLog cache lines.
template <int32_t Rows, int32_t Vectors, bool Partial, int32_t FetchLog>
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
      for (int32_t line = 0; line < 1 << FetchLog; ++line) {
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

// Elements [begin, begin + count) of all rows of a. They may lie anywhere, so nobody else can guess
// where the next ones are.
INLINE void prefetch_for_reading(const gemm_work& work, int32_t begin, int32_t count) {
  for (int32_t i = 0; i < work.tile_count; ++i) {
    const row_tile& tile = work.tiles[i];
    for (int32_t r = 0; r < tile.rows; ++r) {
      for (int32_t p = 0; p < count; p += kLineFloats) {
        __builtin_prefetch(tile.a[r] + begin + p, 0, 3);
      }
    }
  }
}

// What to fetch while a piece is multiplied: so many lines in each step of each tile until all of a
// tile's width are fetched, so that memory is asked for them at an even rate.
class fetching {
 public:
  // While so many tiles of so many columns are computed.
  fetching(int32_t tile_count, int32_t width) : width_lines_((width - 1) / kLineFloats + 1) {
    while (tile_count << log_ < width_lines_ && log_ + 1 < kFetchVariants) {
      ++log_;
    }
  }

  int32_t log() const { return log_; }
  int32_t lines() const { return 1 << log_; }
  int32_t tiles() const { return ((width_lines_ - 1) >> log_) + 1; }

  // The rows of a block in those columns.
  void rows_of(const block_view& block) {
    begin = block.data;
    step = block.ld;
    tile_step = lines() * kLineFloats;
  }

  // NULL: nothing. Each step of a tile moves by `step`; the next tile begins `tile_step` further.
  const float* begin = nullptr;
  int64_t step = 0;
  int64_t tile_step = 0;

 private:
  int32_t width_lines_;
  int32_t log_ = 0;
};

// Rows [p, p + steps) of W in one tile's columns, times all rows.
INLINE void multiply_piece(const gemm_work& work, int32_t p, int32_t steps, int32_t column,
                           int32_t width, block_view w, const fetching& next) {
  gemm_tile_task task;
  task.k_begin = p;
  task.k_end = p + steps;
  task.column = column;
  task.last = last_mask(width);
  task.w = w;
  task.begin = common_begin(work, p, column);
  for (int32_t i = 0; i < work.tile_count; ++i) {
    const bool fetches = next.begin != nullptr && i < next.tiles();
    task.rows = &work.tiles[i];
    if (p == 0 && i + 1 < work.tile_count) {
      prefetch_for_writing(work.tiles[i + 1], column, width);
    }
    task.fetch = fetches ? next.begin + i * next.tile_step : w.data;
    task.fetch_ld = fetches ? next.step : 0;
    kTiles<gemm_tile_task, gemm_tile, kFetchVariants>(task, task.rows->rows, width,
                                                      fetches ? next.log() : 0);
  }
}

INLINE block_view moved(const block_view& w, int64_t row, int32_t column) {
  return w.data == nullptr ? w : block_view{w.data + row * w.ld + column, w.ld};
}

// Rows of a panel: with the rows of a that it is multiplied by, it fits in a first-level cache.
constexpr int32_t kPanelRows = kPieceOfPanels.rows;
constexpr int32_t kMostPanelRows = kPanelRows * 3 / 2;

// panel[p][q] = w[p][q] for p < steps and q < columns.
void copy_panel(const block_view& w, int32_t steps, int32_t columns, float* panel) {
  for (int32_t p = 0; p < steps; ++p) {
    for_each_vector(columns, [&](int64_t q, auto part) {
      store(panel + p * kTileColumns + q, load(w.data + p * w.ld + q, part), part);
    });
  }
}

void multiply_plain(const gemm_work& work) {
  const bool many = work.tile_count >= kManyTiles;
  if (work.k <= kPieceOfFewTiles.rows && work.columns <= kTileColumns && !many) {
    // What follows would do the same, but take as long for it as for the product itself.
    fetching fetch(work.tile_count, work.columns);
    fetch.rows_of(work.next);
    multiply_piece(work, 0, work.k, 0, work.columns, work.w, fetch);
    return;
  }
  const column_tiles tiles(work.columns);
  alignas(64) float panel[kMostPanelRows * kTileColumns];
  // A narrow tile reads a line or two of each row of W. Where rows are a power of 2 apart, those
  // would fall upon each other in the caches.
  const bool copies = many && kTileLines == 1;
  const piece_size piece = copies                                    ? kPieceOfPanels
                           : many                                    ? kPieceOfManyTiles
                           : work.columns > kPieceOfFewTiles.columns ? kPieceOfWideBlocks
                                                                     : kPieceOfFewTiles;
  const int32_t most = piece_rows(work.k, piece.rows);
  const int32_t stripes = (work.columns - 1) / piece.columns + 1;
  prefetch_for_reading(work, 0, least(most, work.k));
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
        if (j + 1 == tile_end) {
          prefetch_for_reading(work, p + steps, least(most, work.k - p - steps));
        }
        const int32_t column = tiles.begin(j);
        fetching fetch(work.tile_count, tiles.width(j));
        fetch.rows_of(moved(next, 0, column));
        block_view w = moved(work.w, p, column);
        if (copies) {
          copy_panel(w, steps, tiles.width(j), panel);
          w = {panel, kTileColumns};
        }
        multiply_piece(work, p, steps, column, tiles.width(j), w, fetch);
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

// Of a large square that is inlined into a loop, GCC keeps all pointers and half of the rows in
// memory.
[[maybe_unused, gnu::noinline]] void transpose_large_square(block_view w, float* panel) {
  transpose_square(w, kWidth, all{}, panel);
}

// panel[p][q] = w[q][p] for p < steps and q < columns.
void transpose_panel(const block_view& w, int32_t steps, int32_t columns, float* panel) {
  for (int32_t q = 0; q < columns; q += kWidth) {
    for (int32_t p = 0; p < steps; p += kWidth) {
      const block_view from = {w.data + q * w.ld + p, w.ld};
      float* const to = panel + p * kTileColumns + q;
      const int32_t rest = least(steps - p, kWidth);
      if (q + kWidth <= columns && rest == kWidth) {
        if constexpr (kWidth > 4) {
          transpose_large_square(from, to);
        } else {
          transpose_square(from, kWidth, all{}, to);
        }
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

void multiply_by_panels(const gemm_work& work) {
  alignas(64) float panel[kMostPanelRows * kTileColumns];
  const int32_t most = piece_rows(work.k, kPanelRows);
  prefetch_for_reading(work, 0, least(most, work.k));
  const column_tiles tiles(work.columns);
  for (int32_t j = 0; j < tiles.count(); ++j) {
    const int32_t column = tiles.begin(j);
    const int32_t width = tiles.width(j);
    fetching fetch(work.tile_count, width);
    for (int32_t p = 0; p < work.k; p += most) {
      const int32_t steps = least(work.k - p, most);
      const float* const w = work.w.data + column * work.w.ld + p;
      transpose_panel({w, work.w.ld}, steps, width, panel);
      // Memory holds the columns that follow, or the next block, end to end.
      const float* const next =
          j + 1 < tiles.count() ? work.w.data + tiles.begin(j + 1) * work.w.ld : work.next.data;
      fetch.begin = next == nullptr ? nullptr : next + int64_t{p} * kTileColumns;
      fetch.step = fetch.lines() * kLineFloats;
      fetch.tile_step = steps * fetch.step;
      if (j == 0) {
        prefetch_for_reading(work, p + steps, least(most, work.k - p - steps));
      }
      multiply_piece(work, p, steps, column, width, {panel, kTileColumns}, fetch);
    }
  }
}

// A transposed W without transposing it: each element of c is the dot product of a row and a row of
// W as it lies. The lanes of a vector hold partial sums, which are added at the end.
struct dot_tile_task {
  const gemm_work* work;
  const row_tile* rows;
  int32_t column_begin, column_end;  // of c, which are rows of W
  const float* next;                 // fetched during the last columns; NULL: nothing
};

// Rows of W that stay in the first-level cache for all row tiles.
constexpr int32_t kDotStripe = 8;

// Rows of W in a dot tile: as many as there are registers for sums, a power of 2.
constexpr int32_t dot_columns(int32_t rows) {
  int32_t columns = 1;
  while (columns * 2 * rows <= kTileRows * kTileVectors && columns < 16) {
    columns *= 2;
  }
  return columns;
}

template <int32_t Rows>
struct dot_tile {
  static constexpr int32_t kColumns = dot_columns(Rows);
  static constexpr int32_t kVectors = (Rows * kColumns - 1) / kWidth + 1;  // of results

  template <typename Mask>
  INLINE static void step(const float* const* a, const float* w, int64_t ld, int64_t last,
                          int64_t p, Mask part, vec (&sum)[kVectors * kWidth]) {
    vec row[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      row[r] = load(a[r] + p, part);
    }
    UNROLL
    for (int32_t q = 0; q < kColumns; ++q) {
      // Behind the last row of W, that one again: its products are not stored.
      const vec column = load(w + (q < last ? q : last) * ld + p, part);
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        sum[r * kColumns + q] = fma(row[r], column, sum[r * kColumns + q]);
      }
    }
  }

  // Columns [column, column + width).
  INLINE static void run_columns(const dot_tile_task& t, int32_t column, int32_t width,
                                 int64_t last, const float* fetch) {
    constexpr int32_t kStepLines = (kColumns * kWidth - 1) / kLineFloats + 1;
    const int32_t k = t.work->k;
    const int64_t ld = t.work->w.ld;
    const float* const w = t.work->w.data + column * ld;
    vec sum[kVectors * kWidth];
    UNROLL
    for (int32_t i = 0; i < kVectors * kWidth; ++i) {
      sum[i] = set1(0.0f);
    }
    int64_t p = 0;
    for (; p + kWidth <= k; p += kWidth) {
      UNROLL
      for (int32_t line = 0; line < kStepLines; ++line) {
        __builtin_prefetch(fetch + line * kLineFloats, 0, 2);
      }
      fetch += kColumns * kWidth;
      step(t.rows->a, w, ld, last, p, all{}, sum);
    }
    if (p < k) {
      step(t.rows->a, w, ld, last, p, first(static_cast<int32_t>(k - p)), sum);
    }
    float total[kVectors * kWidth];
    UNROLL
    for (int32_t v = 0; v < kVectors; ++v) {
      vec part[kWidth];
      UNROLL
      for (int32_t i = 0; i < kWidth; ++i) {
        part[i] = sum[v * kWidth + i];
      }
      store(total + v * kWidth, sums_of_lanes(part));
    }
    const float* const common = common_begin(*t.work, 0, column);
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      float* const c = t.rows->c[r] + column;
      const float* const begin = common != nullptr ? common : c;
      for (int32_t q = 0; q < width; q += kWidth) {
        const mask part = first(least(width - q, kWidth));
        const vec product = load(total + r * kColumns + q, part);
        store(c + q, add(load(begin + q, part), product), part);
      }
    }
  }

  static void run(const dot_tile_task& t) {
    const block_view& w = t.work->w;
    int32_t column = t.column_begin;
    for (; column + 2 * kColumns <= t.column_end; column += kColumns) {
      run_columns(t, column, kColumns, kColumns - 1, w.data + (column + kColumns) * w.ld);
    }
    for (; column < t.column_end; column += kColumns) {
      const int32_t width = least(t.column_end - column, kColumns);
      run_columns(t, column, width, width - 1, t.next != nullptr ? t.next : w.data);
    }
  }
};

constexpr void (*kDotTiles[kTileRows])(const dot_tile_task&) = {dot_tile<1>::run, dot_tile<2>::run,
                                                                dot_tile<3>::run, dot_tile<4>::run,
                                                                dot_tile<5>::run, dot_tile<6>::run};

// W is read once, from end to end: a few of its rows at a time are used for all row tiles.
void multiply_by_dots(const gemm_work& work) {
  dot_tile_task task;
  task.work = &work;
  const int32_t step = work.tile_count == 1 ? work.columns : kDotStripe;
  for (int32_t column = 0; column < work.columns; column += step) {
    task.column_begin = column;
    task.column_end = least(column + step, work.columns);
    for (int32_t i = 0; i < work.tile_count; ++i) {
      task.rows = &work.tiles[i];
      task.next = task.column_end == work.columns ? work.next.data
                                                  : work.w.data + task.column_end * work.w.ld;
      kDotTiles[task.rows->rows - 1](task);
    }
  }
}

// The rows up to which dot products take less time than transposing a panel: adding up the lanes
// counts for less the longer they are.
INLINE int32_t most_rows_for_dots(int32_t k) {
  return least(k / (kWidth + kWidth / 2), kMostDotRows);
}

void gemm(const gemm_work& work) {
  int32_t rows = 0;
  for (int32_t i = 0; i < work.tile_count; ++i) {
    rows += work.tiles[i].rows;
  }
  if (!work.w_transposed) {
    multiply_plain(work);
  } else if (rows <= most_rows_for_dots(work.k)) {
    multiply_by_dots(work);
  } else {
    multiply_by_panels(work);
  }
}

}  // namespace
