// SPDX-License-Identifier: Apache-2.0
//
// Sums of outer products by register tiles. See all_kernels.inl.
//
// A tile of the block written stays in registers while the tile loops over the pairs; in each step
// it multiplies up to 6 elements of a row of x by kTileVectors vectors of a row of y. Every element
// is one chain of fused multiply-adds in the order of the pairs, multiplied by alpha at the end; or
// a sum in double, where that chain overflows and alpha is small.

namespace {

struct outer_tile_task {
  const float* const* x;
  const float* const* y;
  int32_t pairs;
  int32_t row, column, width;
  mask last;
  float alpha;
  float* o;  // the first element of the tile
  int64_t ldo;
};

// The ways to write the sums of a tile: overwrite the block, add to it, or overwrite it past the
// caches, which otherwise read each line before it is written.
constexpr int32_t kOverwrite = 0;
constexpr int32_t kAdd = 1;
constexpr int32_t kStream = 2;
constexpr int32_t kOutputs = 3;

INLINE int32_t output_of(bool stream, bool accumulate) {
  return stream ? kStream : accumulate ? kAdd : kOverwrite;
}

// Writes a tile's part of a row of o.
template <int32_t Vectors, bool Partial, int32_t Output>
INLINE void write_sums(float* o, const vec (&sum)[Vectors], vec alpha, mask last) {
  UNROLL
  for (int32_t v = 0; v < Vectors; ++v) {
    const vec result = Output == kAdd ? fma(alpha, sum[v], load_part<Partial, Vectors>(o, v, last))
                                      : mul(alpha, sum[v]);
    if constexpr (Output == kStream && !Partial) {
      stream(o + v * kWidth, result);
    } else {
      store_part<Partial, Vectors>(o, v, result, last);
    }
  }
}

// Writes a tile's sums where some overflow, though alpha times them may not: those are summed
// again, in double. This is rare and need not be fast.
template <int32_t Vectors, bool Partial, int32_t Output>
[[gnu::noinline]] void write_sums_of_any_size(const outer_tile_task& t, int32_t rows,
                                              const float* sums) {
  constexpr int32_t kColumns = Vectors * kWidth;
  for (int32_t r = 0; r < rows; ++r) {
    float* const o = t.o + r * t.ldo;
    vec sum[Vectors];
    float before[kColumns] = {};
    UNROLL
    for (int32_t v = 0; v < Vectors; ++v) {
      sum[v] = load(sums + r * kColumns + v * kWidth);
      if constexpr (Output == kAdd) {
        store(before + v * kWidth, load_part<Partial, Vectors>(o, v, t.last));
      }
    }
    write_sums<Vectors, Partial, Output == kAdd ? kAdd : kOverwrite>(o, sum, set1(t.alpha), t.last);
    for (int32_t q = 0; q < t.width; ++q) {
      if (!__builtin_isfinite(sums[r * kColumns + q])) {
        double exact = 0.0;
        for (int32_t i = 0; i < t.pairs; ++i) {
          exact +=
              static_cast<double>(t.x[i][t.row + r]) * static_cast<double>(t.y[i][t.column + q]);
        }
        o[q] = static_cast<float>(static_cast<double>(before[q]) +
                                  static_cast<double>(t.alpha) * exact);
      }
    }
  }
}

// Returns whether no sum is infinite or NaN.
template <int32_t Rows, int32_t Vectors>
INLINE bool are_finite(const vec (&sum)[Rows][Vectors]) {
  const vec zero = set1(0.0f);
  vec doubt[Vectors];  // independent chains of multiply-adds
  UNROLL
  for (int32_t v = 0; v < Vectors; ++v) {
    doubt[v] = mul(sum[0][v], zero);
  }
  UNROLL
  for (int32_t r = 1; r < Rows; ++r) {
    UNROLL
    for (int32_t v = 0; v < Vectors; ++v) {
      doubt[v] = fma(sum[r][v], zero, doubt[v]);
    }
  }
  UNROLL
  for (int32_t v = 1; v < Vectors; ++v) {
    doubt[0] = add(doubt[0], doubt[v]);
  }
  return !has_nan(doubt[0]);
}

template <int32_t Rows, int32_t Vectors, bool Partial, int32_t Output>
struct outer_tile {
  static void run(const outer_tile_task& t) {
    const mask last = t.last;
    vec sum[Rows][Vectors];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      UNROLL
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
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        part[v] = load_part<Partial, Vectors>(y, v, last);
      }
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        const vec factor = set1(x[r]);
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[r][v] = fma(factor, part[v], sum[r][v]);
        }
      }
    }
    if (__builtin_fabsf(t.alpha) < 1.0f && !are_finite(sum)) {
      float sums[Rows * Vectors * kWidth];
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          store(sums + (r * Vectors + v) * kWidth, sum[r][v]);
        }
      }
      return write_sums_of_any_size<Vectors, Partial, Output>(t, Rows, sums);
    }
    const vec alpha = set1(t.alpha);
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      write_sums<Vectors, Partial, Output>(t.o + r * t.ldo, sum[r], alpha, last);
    }
  }
};

// The bytes of y below which all of it stays in the first-level cache.
constexpr int64_t kSmallBytes = 16 << 10;

// The bytes of x and y up to which all of their rows are prefetched before the first tile.
constexpr int64_t kPrefetchBytes = 128 << 10;

// The number of tiles that a tile's memory is prefetched ahead. The caches fetch a line before it
// is written, even if nothing of it is read.
constexpr int32_t kTilesAhead = 2;

// Walks through the tiles of a block in the order in which they are computed.
class outer_cursor {
 public:
  outer_cursor(const outer_work& work, const column_tiles& columns)
      : m_(work.m),
        columns_(columns),
        // With few pairs, memory is the bottleneck, and the block is written in memory order. With
        // many, the columns of y in a tile are used for all rows before the next ones.
        as_it_lies_(int64_t{work.pairs} * work.n * 4 <= kSmallBytes) {}

  bool at_end() const { return row_ >= m_ || tile_ >= columns_.count(); }
  int32_t row() const { return row_; }
  int32_t rows() const { return least(m_ - row_, kTileRows); }
  int32_t column() const { return columns_.begin(tile_); }
  int32_t width() const { return columns_.width(tile_); }

  void advance() {
    if (as_it_lies_) {
      ++tile_;
      if (tile_ == columns_.count()) {
        tile_ = 0;
        row_ += rows();
      }
    } else {
      row_ += rows();
      if (row_ >= m_) {
        row_ = 0;
        ++tile_;
      }
    }
  }

  void prefetch_for_writing(const float* o, int64_t ldo) const {
    const float* row = o + row_ * ldo + column();
    for (int32_t r = 0; r < rows(); ++r, row += ldo) {
      for (int32_t q = 0; q < width(); q += kLineFloats) {
        __builtin_prefetch(row + q, 1, 3);
      }
    }
  }

 private:
  int32_t m_;
  const column_tiles& columns_;
  bool as_it_lies_;
  int32_t row_ = 0;
  int32_t tile_ = 0;
};

// Prefetches the rows of the pairs, which may lie anywhere: their cache misses overlap instead of
// following each other pair by pair.
void prefetch_rows(const float* const* rows, int32_t pairs, int32_t size) {
  for (int32_t i = 0; i < pairs; ++i) {
    for (int32_t q = 0; q < size; q += kLineFloats) {
      __builtin_prefetch(rows[i] + q, 0, 3);
    }
  }
}

// The elements of a block of a few tiles, where cursors take longer than the tiles.
constexpr int64_t kMostWithoutCursors = 1024;

// Computes the tiles of a small block in memory order. Each tile prefetches the memory of the same
// tile in the next block.
void outer_of_small_block(const outer_work& work, const column_tiles& columns,
                          outer_tile_task& task) {
  for (task.row = 0; task.row < work.m; task.row += kTileRows) {
    const int32_t rows = least(work.m - task.row, kTileRows);
    for (int32_t j = 0; j < columns.count(); ++j) {
      const int32_t width = columns.width(j);
      task.column = columns.begin(j);
      task.width = width;
      task.last = last_mask(width);
      const int64_t at = task.row * work.ldo + task.column;
      task.o = work.o + at;
      if (work.next_o != nullptr && !work.stream) {
        for (int32_t r = 0; r < rows; ++r) {
          __builtin_prefetch(work.next_o + at + r * work.ldo, 1, 3);
        }
      }
      kTiles<outer_tile_task, outer_tile, kOutputs>(task, rows, width,
                                                    output_of(work.stream, work.accumulate));
    }
  }
}

void outer(const outer_work& work) {
  const column_tiles columns(work.n);
  if (int64_t{work.pairs} * (int64_t{work.m} + work.n) * 4 <= kPrefetchBytes) {
    prefetch_rows(work.y, work.pairs, work.n);
    prefetch_rows(work.x, work.pairs, work.m);
  }
  outer_tile_task task;
  task.x = work.x;
  task.y = work.y;
  task.pairs = work.pairs;
  task.alpha = work.alpha;
  task.ldo = work.ldo;
  if (int64_t{work.m} * work.n <= kMostWithoutCursors) {
    return outer_of_small_block(work, columns, task);
  }
  outer_cursor ahead(work, columns);
  for (int32_t i = 0; i < kTilesAhead && !ahead.at_end(); ++i) {
    ahead.advance();
  }
  outer_cursor next(work, columns);
  for (outer_cursor tile(work, columns); !tile.at_end(); tile.advance()) {
    if (work.stream) {
      // Streamed lines must stay out of the caches.
    } else if (!ahead.at_end()) {
      ahead.prefetch_for_writing(work.o, work.ldo);
      ahead.advance();
    } else if (work.next_o != nullptr && !next.at_end()) {
      next.prefetch_for_writing(work.next_o, work.ldo);
      next.advance();
    }
    task.row = tile.row();
    task.column = tile.column();
    task.width = tile.width();
    task.last = last_mask(task.width);
    task.o = work.o + task.row * work.ldo + task.column;
    kTiles<outer_tile_task, outer_tile, kOutputs>(task, tile.rows(), task.width,
                                                  output_of(work.stream, work.accumulate));
  }
}

}  // namespace
