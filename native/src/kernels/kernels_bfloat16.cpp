// SPDX-License-Identifier: Apache-2.0
//
// Products with a rounded to bfloat16, by instructions that multiply pairs of such numbers: those
// of AMX, each of 16 rows by 16 columns, 32 steps of k at once, or of AVX512-BF16, of one row by 16
// columns, two steps at once. Both operands are packed for them, as pairs of numbers that follow
// each other in k: a once for all columns, and W a panel at a time. Missing rows of a group and
// missing steps of 32 are 0.
//
// The sum of a piece of k starts at 0 and is then added to c; pieces depend on k and the number of
// rows alone. The instructions treat denormal operands as 0, whatever the thread's mode, and flush
// denormal sums to 0.
#define BLOCKSPARSE_SIMD "kernels/simd_avx512.h"
// In this order: each file uses names of those above it.
// clang-format off
#include "kernels/vectors.inl"
#include "kernels/register_tiles.inl"
#include "kernels/gemm_sums.inl"
#include "kernels/gemm_prefetch.inl"
// clang-format on

#include "kernels/amx_registers.h"

namespace {

// Two numbers adjacent in k, the first in the lower half.
using pair = uint32_t;

// The pairs of k that AMX multiplies at once; pieces of k are multiples of them.
constexpr int32_t kAmxPairs = 16;

constexpr int32_t kMostRows = kMostTiles * kTileRows;

// Pairs of all rows of a in a piece of k: with a panel, they stay well below the stack that Java
// leaves to native code. See StackRoom.java.
constexpr int32_t kPackedPairs = 8448;
constexpr int32_t kMostPanelPairs = 64;

// Tiles of rows that dot products multiply at once. More tiles would leave room for shorter pieces
// of k only, whose sums are loaded and stored more often.
constexpr int32_t kTilesOfDotProducts = 16;

// The least rows that repay packing.
constexpr int32_t kLeastRows = 8, kLeastRowsOfAmx = 12;

// All registers of AMX hold 16 rows of 64 bytes.
void configure() {
  register_layout layout;
  for (int32_t i = 0; i < 8; ++i) {
    layout.set(i, kAmxPairs, kLineBytes);
  }
  layout.apply();
}

// The rows of a of a call.
struct row_list {
  const float* a[kMostRows];
  float* c[kMostRows];
  int32_t count = 0;

  explicit row_list(const gemm_work& work) {
    for (int32_t i = 0; i < work.tile_count; ++i) {
      for (int32_t r = 0; r < work.tiles[i].rows; ++r, ++count) {
        a[count] = work.tiles[i].a[r];
        c[count] = work.tiles[i].c[r];
      }
    }
  }

  int32_t groups_of(int32_t rows) const { return (count - 1) / rows + 1; }
};

// Packs elements [p, p + steps) of all rows of a, `lda` pairs apart, and rows of 0 up to `count`.
void pack_rows(const row_list& rows, int32_t count, int32_t p, int32_t steps, int64_t lda,
               pair* packed) {
  for (int32_t r = 0; r < count; ++r) {
    for (int32_t q = 0; q < 2 * lda; q += kWidth) {
      const int32_t rest = r < rows.count ? least(steps - q, kWidth) : 0;
      const vec x = rest > 0 ? load(rows.a[r] + p + q, first(rest)) : set1(0.0f);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(packed + r * lda + q / 2),
                          reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
    }
  }
  publish(packed);
}

// Packs `pairs` times two rows of W side by side; `steps` rows exist, the others are 0.
void pack_panel(const block_of<bfloat16>& w, int32_t steps, int32_t columns, int64_t pairs,
                pair* panel) {
  // Interleaves elements 0 and 32, 1 and 33 and so on of two vectors of 32, in columns 0 to 15 and
  // 16 to 31.
  const __m512i left = _mm512_add_epi16(
      _mm512_cvtepu8_epi16(_mm256_set_epi8(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8,
                                           8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0)),
      _mm512_set1_epi32(32 << 16));
  const __m512i right = _mm512_add_epi16(left, _mm512_set1_epi16(16));
  for (int32_t p = 0; p < 2 * pairs; p += 2) {
    const bfloat16* const first_row = w.data + least(p, steps - 1) * w.ld;
    const bfloat16* const second_row = w.data + least(p + 1, steps - 1) * w.ld;
    for (int32_t q = 0; q < columns; q += 2 * kWidth) {
      const int32_t rest = least(columns - q, 2 * kWidth);
      const __mmask32 part = 0xffffffffu >> (2 * kWidth - rest);
      const __m512i a = _mm512_maskz_loadu_epi16(p < steps ? part : 0, first_row + q);
      const __m512i b = _mm512_maskz_loadu_epi16(p + 1 < steps ? part : 0, second_row + q);
      _mm512_storeu_si512(panel + q, _mm512_permutex2var_epi16(a, left, b));
      _mm512_storeu_si512(panel + q + kWidth, _mm512_permutex2var_epi16(a, right, b));
    }
    panel += kTileColumns;
  }
  publish(panel);
}

// The destination of the sums of a group: `count` rows of c, in `width` columns from `column` on.
// They are added to `begin`, or to c if that is NULL.
struct group_sums {
  const float* begin;
  float* const* c;
  int32_t count, column, width;

  int32_t vectors() const { return (width - 1) / kWidth + 1; }

  const float* begin_of(int32_t r) const { return begin != nullptr ? begin : c[r] + column; }
};

// The lines to prefetch while group `part` of `parts` is multiplied: a share of the next panel, of
// `steps` rows.
struct next_panel {
  block_of<bfloat16> block;
  int32_t width, steps, part, parts;
};

// Multiplies a group of kRows rows of a, padded with rows of 0, by a panel, from begin() to end().
struct by_amx {
  static constexpr int32_t kRows = 16;

  static void begin() { configure(); }
  static void end() { _tile_release(); }

  static void fetch(const next_panel& next) {
    constexpr int32_t kLineElements = kLineBytes / static_cast<int32_t>(sizeof(bfloat16));
    const block_of<bfloat16>& block = next.block;
    const int32_t begin = next.steps * next.part / next.parts;
    const int32_t end = next.steps * (next.part + 1) / next.parts;
    for (int32_t p = begin; block.data != nullptr && p < end; ++p) {
      for (int32_t q = 0; q < next.width; q += kLineElements) {
        __builtin_prefetch(block.data + p * block.ld + q, 0, 2);
      }
    }
  }

  static void multiply(const pair* a, const pair* panel, int64_t pairs, const group_sums& to,
                       const next_panel& next) {
    fetch(next);
    alignas(64) float sums[kRows * kTileColumns];
    const int32_t vectors = to.vectors();
    constexpr int64_t kPanelBytes = kTileColumns * static_cast<int64_t>(sizeof(pair));
    const int64_t a_bytes = pairs * static_cast<int64_t>(sizeof(pair));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t p = 0; p < pairs; p += kAmxPairs, panel += kAmxPairs * kTileColumns) {
      _tile_loadd(4, a + p, a_bytes);
      _tile_loadd(5, panel, kPanelBytes);
      _tile_dpbf16ps(0, 4, 5);
      if (vectors > 1) {
        _tile_loadd(6, panel + kWidth, kPanelBytes);
        _tile_dpbf16ps(1, 4, 6);
      }
      if (vectors > 2) {
        _tile_loadd(7, panel + 2 * kWidth, kPanelBytes);
        _tile_dpbf16ps(2, 4, 7);
      }
      if (vectors > 3) {
        _tile_loadd(5, panel + 3 * kWidth, kPanelBytes);
        _tile_dpbf16ps(3, 4, 5);
      }
    }
    _tile_stored(0, sums, kPanelBytes);
    _tile_stored(1, sums + kWidth, kPanelBytes);
    _tile_stored(2, sums + 2 * kWidth, kPanelBytes);
    _tile_stored(3, sums + 3 * kWidth, kPanelBytes);
    for (int32_t r = 0; r < to.count; ++r) {
      const float* const from = to.begin_of(r);
      float* const c = to.c[r] + to.column;
      for_each_vector(to.width, [&](int64_t q, auto part) {
        store(c + q, add(load(from + q, part), load(sums + r * kTileColumns + q)), part);
      });
    }
  }
};

struct by_dot_products {
  static constexpr int32_t kRows = kTileRows;

  static void begin() {}
  static void end() {}

  // The first groups prefetch a line of each row of W, both rows of a pair in each step: at an even
  // rate, as memory serves only so many requests at once.
  template <int32_t Rows, int32_t Vectors, bool Fetches>
  static void multiply(const pair* a, const pair* panel, int64_t pairs, const group_sums& to,
                       const bfloat16* fetch, int64_t row) {
    vec sum[Rows][Vectors];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        sum[r][v] = set1(0.0f);
      }
    }
    for (int64_t p = 0; p < pairs; ++p, panel += kTileColumns) {
      if (Fetches) {
        __builtin_prefetch(fetch, 0, 2);
        __builtin_prefetch(fetch + row, 0, 2);
        fetch += 2 * row;
      }
      __m512bh w[Vectors];
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        w[v] = reinterpret_cast<__m512bh>(_mm512_load_si512(panel + v * kWidth));
      }
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        const auto x =
            reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int32_t>(a[r * pairs + p])));
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[r][v] = _mm512_dpbf16_ps(sum[r][v], x, w[v]);
        }
      }
    }
    const mask last = first(to.width - (Vectors - 1) * kWidth);
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      const float* const from = to.begin_of(r);
      float* const c = to.c[r] + to.column;
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        const mask part = v + 1 < Vectors ? first(kWidth) : last;
        store(c + v * kWidth, add(load(from + v * kWidth, part), sum[r][v]), part);
      }
    }
  }

  template <int32_t Rows, int32_t Vectors>
  static void multiply_size(const pair* a, const pair* panel, int64_t pairs, const group_sums& to,
                            const next_panel& next) {
    if constexpr (Rows > 1) {
      if (to.count < Rows) {
        return multiply_size<Rows - 1, Vectors>(a, panel, pairs, to, next);
      }
    }
    if constexpr (Vectors > 1) {
      if (to.vectors() < Vectors) {
        return multiply_size<Rows, Vectors - 1>(a, panel, pairs, to, next);
      }
    }
    constexpr int32_t kLineElements = kLineBytes / static_cast<int32_t>(sizeof(bfloat16));
    const int32_t line = next.part * kLineElements;
    if (next.block.data != nullptr && line < next.width) {
      multiply<Rows, Vectors, true>(a, panel, pairs, to, next.block.data + line, next.block.ld);
    } else {
      multiply<Rows, Vectors, false>(a, panel, pairs, to, nullptr, 0);
    }
  }

  static void multiply(const pair* a, const pair* panel, int64_t pairs, const group_sums& to,
                       const next_panel& next) {
    multiply_size<kRows, kTileVectors>(a, panel, pairs, to, next);
  }
};

// Not inlined: its large frame would leave callers no stack for the other path.
template <typename Group>
[[gnu::noinline]] void multiply_pairs(const gemm_work& work) {
  static_assert(kMostRows % Group::kRows == 0, "the rows of a call fill whole groups");
  const row_list rows(work);
  const block_of<bfloat16> w(work.w);
  const block_of<bfloat16> next_block(work.next);
  const column_tiles tiles(work.columns);
  alignas(64) pair a[kPackedPairs];
  alignas(64) pair panel[kMostPanelPairs * kTileColumns];
  const int32_t groups = rows.groups_of(Group::kRows);
  const int32_t most = least(kPackedPairs / (groups * Group::kRows), kMostPanelPairs);
  const int32_t piece = steps_of_piece(work.k, most / kAmxPairs * kAmxPairs * 2, kAmxPairs * 2);
  const int64_t pairs = piece / 2;
  Group::begin();
  for (int32_t p = 0, steps = 0; p < work.k; p += steps) {
    steps = least(work.k - p, piece);
    pack_rows(rows, groups * Group::kRows, p, steps, pairs, a);
    for (int32_t j = 0; j < tiles.count(); ++j) {
      const int32_t column = tiles.begin(j);
      const int32_t width = tiles.width(j);
      pack_panel(w.from(p, column), steps, width, pairs, panel);
      const bool is_last = j + 1 == tiles.count();
      if (is_last) {
        prefetch_for_reading(work, p + steps, least(piece, work.k - p - steps));
      }
      const block_of<bfloat16> next = !is_last             ? w.from(p, tiles.begin(j + 1))
                                      : p + steps < work.k ? w.from(p + steps, 0)
                                                           : next_block;
      const float* const begin = common_begin(work, p, column);
      for (int32_t g = 0; g < groups; ++g) {
        const int32_t row = rows.count * g / groups;
        const int32_t end = rows.count * (g + 1) / groups;
        Group::multiply(a + row * pairs, panel, pairs,
                        {begin, rows.c + row, end - row, column, width},
                        {next, width, steps, g, groups});
      }
    }
  }
  Group::end();
}

bool may_use_registers() {
  static const bool may = ask_for_registers();
  return may;
}

int32_t rows_of(const gemm_work& work) {
  int32_t count = 0;
  for (int32_t i = 0; i < work.tile_count; ++i) {
    count += work.tiles[i].rows;
  }
  return count;
}

}  // namespace

void blocksparse::gemm_rounded_amx(const gemm_work& work) {
  if (rows_of(work) >= kLeastRowsOfAmx && may_use_registers()) {
    multiply_pairs<by_amx>(work);
  } else {
    kAvx512Kernels.gemm_rounded(work);
  }
}

void blocksparse::gemm_rounded_avx512_bf16(const gemm_work& work) {
  const int32_t parts = (work.tile_count - 1) / kTilesOfDotProducts + 1;
  gemm_work part = work;
  for (int32_t i = 0; i < parts; ++i) {
    part.tiles = work.tiles + work.tile_count * i / parts;
    part.tile_count = work.tile_count * (i + 1) / parts - work.tile_count * i / parts;
    part.next = i + 1 < parts ? work.w : work.next;
    if (rows_of(part) >= kLeastRows) {
      multiply_pairs<by_dot_products>(part);
    } else {
      kAvx512Kernels.gemm_rounded(part);
    }
  }
}
