// SPDX-License-Identifier: Apache-2.0
// Products of a few rows with a transposed W, without transposing it: each element of c is the dot
// product of a row of a and a row of W in place. The lanes of a vector hold partial sums, which are
// added at the end. See all_kernels.inl.

namespace {

template <typename Element>
struct dot_tile_task {
  const gemm_work* work;
  block_of<Element> w;
  const row_tile* rows;
  int32_t column_begin, column_end;  // columns of c, which are rows of W
};

// Rows of W that stay in the first-level cache for all row tiles.
constexpr int32_t kDotStripe = 8;

// The number of tiles that W is prefetched ahead: memory latency is as long as a few of them.
constexpr int32_t kDotTilesAhead = 4;

// Rows of W in a dot tile: as many as there are registers for sums, a power of 2.
constexpr int32_t dot_columns(int32_t rows) {
  int32_t columns = 1;
  while (columns * 2 * rows <= kTileRows * kTileVectors && columns < 16) {
    columns *= 2;
  }
  return columns;
}

template <typename Element, int32_t Rows, int32_t Columns = dot_columns(Rows)>
struct dot_tile {
  static constexpr int32_t kColumns = Columns;
  static constexpr int32_t kVectors = (Rows * kColumns - 1) / kWidth + 1;  // vectors of results

  template <typename Mask>
  INLINE static void step(const float* const* a, const block_of<Element>& w, int64_t last,
                          int64_t p, Mask part, vec (&sum)[kVectors * kWidth]) {
    vec row[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      row[r] = load(a[r] + p, part);
    }
    UNROLL
    for (int32_t q = 0; q < kColumns; ++q) {
      // Beyond the last row of W, the last row is read again: its products are not stored.
      const Element* const at = w.data + (q < last ? q : last) * w.ld + p;
      vec column;
      if constexpr (std::is_same_v<Mask, all> || std::is_same_v<Element, float>) {
        column = w.widened(at, p, part);
      } else {
        column = w.widened_apart(at, p, part);
      }
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        sum[r * kColumns + q] = fma(row[r], column, sum[r * kColumns + q]);
      }
    }
  }

  // Processes columns [column, column + width).
  INLINE static void run_columns(const dot_tile_task<Element>& t, int32_t column, int32_t width,
                                 int64_t last, const Element* fetch) {
    constexpr int32_t kLineElements = kLineBytes / static_cast<int32_t>(sizeof(Element));
    constexpr int32_t kStepLines = (kColumns * kWidth - 1) / kLineElements + 1;
    const int32_t k = t.work->k;
    const block_of<Element> w = t.w.from(column, 0);
    vec sum[kVectors * kWidth];
    UNROLL
    for (int32_t i = 0; i < kVectors * kWidth; ++i) {
      sum[i] = set1(0.0f);
    }
    int64_t p = 0;
    for (; p + kWidth <= k; p += kWidth) {
      UNROLL
      for (int32_t line = 0; line < kStepLines; ++line) {
        __builtin_prefetch(fetch + line * kLineElements, 0, 2);
      }
      fetch += kColumns * kWidth;
      step(t.rows->a, w, last, p, all{}, sum);
    }
    if (p < k) {
      step(t.rows->a, w, last, p, first(static_cast<int32_t>(k - p)), sum);
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

  // The address of W kDotTilesAhead tiles ahead, or at most one block ahead, in this block or the
  // next; after the last block, an address that is already cached.
  INLINE static const Element* ahead_of(const dot_tile_task<Element>& t, int32_t column) {
    const int32_t columns = t.work->columns;
    const int32_t left = columns - column;
    const int32_t lead = least(kDotTilesAhead * kColumns, columns);
    if (lead < left) {
      return t.w.data + (int64_t{column} + lead) * t.w.ld;
    }
    const auto* const next = static_cast<const Element*>(t.work->next.data);
    return next != nullptr ? next + int64_t{lead - left} * t.w.ld : t.w.data;
  }

  static void run(const dot_tile_task<Element>& t) {
    int32_t column = t.column_begin;
    for (; column <= t.column_end - 2 * kColumns; column += kColumns) {
      run_columns(t, column, kColumns, kColumns - 1, ahead_of(t, column));
    }
    for (int32_t width = 0; column < t.column_end; column += width) {
      width = least(t.column_end - column, kColumns);
      run_columns(t, column, width, width - 1, ahead_of(t, column));
    }
  }
};

template <typename Element>
constexpr void (*kDotTiles[kTileRows])(const dot_tile_task<Element>&) = {
    dot_tile<Element, 1>::run, dot_tile<Element, 2>::run, dot_tile<Element, 3>::run,
    dot_tile<Element, 4>::run, dot_tile<Element, 5>::run, dot_tile<Element, 6>::run};

// Tiles for W of a single row, which would otherwise be multiplied once for each column of a tile.
template <typename Element>
constexpr void (*kSingleColumnDotTiles[kTileRows])(const dot_tile_task<Element>&) = {
    dot_tile<Element, 1, 1>::run, dot_tile<Element, 2, 1>::run, dot_tile<Element, 3, 1>::run,
    dot_tile<Element, 4, 1>::run, dot_tile<Element, 5, 1>::run, dot_tile<Element, 6, 1>::run};

// Reads W once, from end to end: a few of its rows at a time are used for all row tiles.
template <typename Element>
void multiply_by_dots(const gemm_work& work) {
  const block_of<Element> w(work.w);
  dot_tile_task<Element> task = {&work, w, nullptr, 0, 0};
  const int32_t step = work.tile_count == 1 ? work.columns : kDotStripe;
  for (int32_t column = 0; column < work.columns; column = task.column_end) {
    task.column_begin = column;
    task.column_end = column + least(step, work.columns - column);
    for (int32_t i = 0; i < work.tile_count; ++i) {
      task.rows = &work.tiles[i];
      const auto& tiles = work.columns == 1 ? kSingleColumnDotTiles<Element> : kDotTiles<Element>;
      tiles[task.rows->rows - 1](task);
    }
  }
}

// The most rows for the shortest dot products.
constexpr int32_t kMostShortDotRows = 2;

// Returns the most rows for which dot products are faster than transposing a panel: the longer the
// rows, the less the sums over lanes cost.
INLINE int32_t most_rows_for_dots(int32_t k) {
  return k < 2 * kWidth ? kMostShortDotRows : least(k / kWidth, kMostDotRows);
}

}  // namespace
