// SPDX-License-Identifier: Apache-2.0
//
// Products with a rounded to bfloat16 by AVX512-BF16, whose instruction adds to each float of a
// vector the products of two numbers that follow each other in k with two others. Both operands are
// packed for it: a once for all columns, W a panel at a time.
//
// Every element of c is one chain of sums in the order of k, wherever it lies in a tile. The
// instruction takes numbers below the normal ones for 0, whatever the thread has set, and gives 0
// for such sums.
#define BLOCKSPARSE_SIMD "kernels/simd_avx512.h"
// In this order: each file uses names of those above it.
// clang-format off
#include "kernels/vectors.inl"
#include "kernels/register_tiles.inl"
#include "kernels/gemm_sums.inl"
#include "kernels/gemm_prefetch.inl"
// clang-format on

namespace {

// Two numbers that follow each other in k, the first in the lower half.
using pair = uint32_t;

// Pairs of all rows of a in a piece of k: with a panel, well below what Java leaves native code of a
// thread's stack.
constexpr int32_t kMostPairs = 8192;
constexpr int32_t kMostPanelPairs = 72;

// So few rows do not pay for packing.
constexpr int32_t kLeastTiles = 4;

INLINE vec add_products(vec sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

struct pair_tile_task {
  const row_tile* rows;
  const pair* a;  // of row r at a + r * lda
  int64_t lda;
  const pair* panel;  // kTileColumns for each step
  int32_t pairs;
  int32_t column;
  mask last;
  const float* begin;  // what the sums of every row begin with; NULL: with c
  const char* fetch;   // prefetched in the first step
  int64_t fetch_step;  // and so many bytes further in each step
};

// As gemm_tile, by pairs.
template <int32_t Rows, int32_t Vectors, bool Partial, int32_t>
struct pair_tile {
  static void run(const pair_tile_task& t) {
    const mask last = t.last;
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

    const pair* row_of_a[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      row_of_a[r] = t.a + r * t.lda;
    }
    const pair* w = t.panel;
    const char* fetch = t.fetch;
    const int64_t fetch_step = t.fetch_step;
    const int64_t pairs = t.pairs;
    for (int64_t p = 0; p < pairs; ++p) {
      __m512i row[Vectors];
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        row[v] = _mm512_loadu_si512(w + v * kWidth);
      }
      __builtin_prefetch(fetch, 0, 2);
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        const __m512i factors = _mm512_set1_epi32(static_cast<int32_t>(row_of_a[r][p]));
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[r][v] = add_products(sum[r][v], factors, row[v]);
        }
      }
      w += kTileColumns;
      fetch += fetch_step;
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

// Elements [p, p + steps) of all rows of a; a last step without another gets 0 beside it. Rows are
// `lda` pairs apart, each tile's at a place that its number tells.
void pack_rows(const gemm_work& work, int32_t p, int32_t steps, int64_t lda, pair* a) {
  for (int32_t i = 0; i < work.tile_count; ++i) {
    const row_tile& tile = work.tiles[i];
    for (int32_t r = 0; r < tile.rows; ++r) {
      pair* const to = a + (i * kTileRows + r) * lda;
      for_each_vector(steps, [&](int64_t q, auto part) {
        const __m256bh rounded = _mm512_cvtneps_pbh(load(tile.a[r] + p + q, part));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + q / 2),
                            reinterpret_cast<__m256i>(rounded));
      });
    }
  }
}

// Two rows of W side by side in each step, for `steps` rows; a last one without another gets 0
// beside it, and so do columns that are not there.
void pack_panel(const block_of<bfloat16>& w, int32_t steps, int32_t columns, pair* panel) {
  for (int32_t p = 0; p < steps; p += 2) {
    const bfloat16* const first_row = w.data + p * w.ld;
    const bool has_second = p + 1 < steps;
    const bfloat16* const second_row = has_second ? first_row + w.ld : first_row;
    for (int32_t q = 0; q < columns; q += kWidth) {
      const mask part = first(least(columns - q, kWidth));
      const mask second_part = has_second ? part : mask{0};
      const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(part, first_row + q));
      const __m512i high =
          _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(second_part, second_row + q));
      _mm512_storeu_si512(panel + q, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
    panel += kTileColumns;
  }
}

// All rows times a panel. Meanwhile as many rows of `next` are fetched, a line in each step of a
// tile.
void multiply_panel(const gemm_work& work, pair_tile_task task, int32_t width,
                    const block_of<bfloat16>& next, bool is_first) {
  constexpr int32_t kSize = static_cast<int32_t>(sizeof(bfloat16));
  const int32_t lines = (width * kSize - 1) / kLineBytes + 1;  // of a row
  for (int32_t i = 0; i < work.tile_count; ++i) {
    task.rows = &work.tiles[i];
    if (is_first && i + 1 < work.tile_count) {
      prefetch_for_writing(work.tiles[i + 1], task.column, width);
    }
    const bool fetches = next.data != nullptr && i < 2 * lines;
    task.fetch = reinterpret_cast<const char*>(task.panel);
    task.fetch_step = 0;
    if (fetches) {
      task.fetch =
          reinterpret_cast<const char*>(next.data + i / lines * next.ld) + i % lines * kLineBytes;
      task.fetch_step = 2 * next.ld * kSize;
    }
    kTiles<pair_tile_task, pair_tile, 1>(task, task.rows->rows, width, 0);
    task.a += kTileRows * task.lda;
  }
}

}  // namespace

void blocksparse::gemm_rounded_avx512bf16(const gemm_work& work) {
  if (work.tile_count < kLeastTiles) {
    kAvx512Kernels.gemm_rounded(work);
    return;
  }
  const block_of<bfloat16> w(work.w);
  const block_of<bfloat16> next_block(work.next);
  const column_tiles tiles(work.columns);
  alignas(64) pair a[kMostPairs];
  alignas(64) pair panel[kMostPanelPairs * kTileColumns];
  const int32_t most = least(kMostPairs / (work.tile_count * kTileRows), kMostPanelPairs) / 8 * 8;
  const int32_t piece = steps_of_piece(work.k, 2 * most);
  for (int32_t p = 0; p < work.k; p += piece) {
    const int32_t steps = least(work.k - p, piece);
    pack_rows(work, p, steps, piece / 2, a);
    for (int32_t j = 0; j < tiles.count(); ++j) {
      const int32_t column = tiles.begin(j);
      const int32_t width = tiles.width(j);
      pack_panel(w.from(p, column), steps, width, panel);
      block_of<bfloat16> next = next_block;
      if (j + 1 < tiles.count()) {
        next = w.from(p, tiles.begin(j + 1));
      } else {
        prefetch_for_reading(work, p + steps, least(piece, work.k - p - steps));
        next = p + steps < work.k ? w.from(p + steps, 0) : next_block;
      }
      pair_tile_task task = {};
      task.a = a;
      task.lda = piece / 2;
      task.panel = panel;
      task.pairs = (steps - 1) / 2 + 1;
      task.column = column;
      task.last = last_mask(width);
      task.begin = common_begin(work, p, column);
      multiply_panel(work, task, width, next, p == 0);
    }
  }
}
