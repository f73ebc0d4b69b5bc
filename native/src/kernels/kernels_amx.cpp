// SPDX-License-Identifier: Apache-2.0
//
// Products with a rounded to bfloat16 by AMX, whose instruction multiplies 16 rows by 16 columns,
// 32 steps of k at once. Both operands are packed for it, as pairs of numbers that follow each
// other in k: a once for all columns, W a panel at a time. What is short of 16 or 32 is filled
// with 0.
//
// The sum of a piece of k is made of 0 and then added to c; pieces depend on k and the rows alone.
// The instruction takes numbers below the normal ones for 0, whatever the thread has set, and gives
// 0 for such sums.
#define BLOCKSPARSE_SIMD "kernels/simd_avx512.h"
// In this order: each file uses names of those above it.
// clang-format off
#include "kernels/vectors.inl"
#include "kernels/register_tiles.inl"
#include "kernels/gemm_sums.inl"
#include "kernels/gemm_prefetch.inl"
// clang-format on

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

// Two numbers that follow each other in k, the first in the lower half.
using pair = uint32_t;

// Rows and pairs of an operand of the instruction.
constexpr int32_t kAmxRows = 16;
constexpr int32_t kAmxPairs = 16;

constexpr int32_t kMostRows = kMostTiles * kTileRows;
static_assert(kMostRows % kAmxRows == 0, "the rows of a call fill whole operands");

// Pairs of all rows of a in a piece of k: with a panel, well below what Java leaves native code of
// a thread's stack. See StackRoom.java.
constexpr int32_t kPackedPairs = 8192;
constexpr int32_t kMostPanelPairs = 64;

// Fewer do not pay for packing.
constexpr int32_t kLeastRows = 12;

// Linux lets a process have the registers when it asks, for good: from then on, frames of signals
// may take 8 KB more. It refuses where a thread has a stack for signals that is too small for them.
bool ask_for_registers() {
#if defined(__linux__)
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, of asm/prctl.h
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

// What was stored is in memory. GCC does not know that an instruction reads it, or how much.
INLINE void publish(const void* memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

// All registers hold 16 rows of 64 bytes.
void configure() {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } layout = {};
  static_assert(sizeof(layout) == 64, "as the processor reads it");
  layout.palette = 1;
  for (int32_t i = 0; i < 8; ++i) {
    layout.row_bytes[i] = kLineBytes;
    layout.rows[i] = kAmxRows;
  }
  publish(&layout);
  _tile_loadconfig(&layout);
}

// The rows of a call.
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

  // In whole operands.
  int32_t groups() const { return (count - 1) / kAmxRows + 1; }
};

// Elements [p, p + steps) of all rows of a, `lda` pairs apart.
void pack_rows(const row_list& rows, int32_t p, int32_t steps, int64_t lda, pair* packed) {
  for (int32_t r = 0; r < rows.groups() * kAmxRows; ++r) {
    for (int32_t q = 0; q < 2 * lda; q += kWidth) {
      const int32_t rest = r < rows.count ? least(steps - q, kWidth) : 0;
      const vec x = rest > 0 ? load(rows.a[r] + p + q, first(rest)) : set1(0.0f);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(packed + r * lda + q / 2),
                          reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
    }
  }
  publish(packed);
}

// `pairs` times two rows of W side by side, of which `steps` rows are there.
void pack_panel(const block_of<bfloat16>& w, int32_t steps, int32_t columns, int64_t pairs,
                pair* panel) {
  for (int32_t p = 0; p < 2 * pairs; p += 2) {
    const bfloat16* const first_row = w.data + least(p, steps - 1) * w.ld;
    const bfloat16* const second_row = w.data + least(p + 1, steps - 1) * w.ld;
    for (int32_t q = 0; q < columns; q += kWidth) {
      const mask part = first(least(columns - q, kWidth));
      const mask first_part = p < steps ? part : mask{0};
      const mask second_part = p + 1 < steps ? part : mask{0};
      const __m512i low =
          _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_part, first_row + q));
      const __m512i high =
          _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(second_part, second_row + q));
      _mm512_storeu_si512(panel + q, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
    panel += kTileColumns;
  }
  publish(panel);
}

// sums = 16 rows of a * the first `vectors` times 16 columns of a panel.
void multiply(const pair* a, const pair* panel, int64_t pairs, int32_t vectors, float* sums) {
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
}

// c = begin (NULL: c) + sums, in a row's columns.
INLINE void add_row(const float* begin, const float* sums, int32_t width, float* c) {
  const float* const from = begin != nullptr ? begin : c;
  for_each_vector(width, [&](int64_t q, auto part) {
    store(c + q, add(load(from + q, part), load(sums + q)), part);
  });
}

// Part i of n of the lines of a panel that comes next, of `steps` rows.
void fetch_part(const block_of<bfloat16>& next, int32_t width, int32_t steps, int32_t i,
                int32_t n) {
  constexpr int32_t kLineElements = kLineBytes / static_cast<int32_t>(sizeof(bfloat16));
  for (int32_t p = steps * i / n; next.data != nullptr && p < steps * (i + 1) / n; ++p) {
    for (int32_t q = 0; q < width; q += kLineElements) {
      __builtin_prefetch(next.data + p * next.ld + q, 0, 2);
    }
  }
}

// Not inlined: what calls it has no room on the stack for what it does instead.
[[gnu::noinline]] void multiply_on_amx(const gemm_work& work) {
  const row_list rows(work);
  const block_of<bfloat16> w(work.w);
  const block_of<bfloat16> next_block(work.next);
  const column_tiles tiles(work.columns);
  alignas(64) pair a[kPackedPairs];
  alignas(64) pair panel[kMostPanelPairs * kTileColumns];
  alignas(64) float sums[kAmxRows * kTileColumns];
  const int32_t groups = rows.groups();
  const int32_t most = least(kPackedPairs / (groups * kAmxRows), kMostPanelPairs);
  const int32_t piece = steps_of_piece(work.k, most / kAmxPairs * kAmxPairs * 2, kAmxPairs * 2);
  const int64_t pairs = piece / 2;
  configure();
  for (int32_t p = 0, steps = 0; p < work.k; p += steps) {
    steps = least(work.k - p, piece);
    pack_rows(rows, p, steps, pairs, a);
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
        fetch_part(next, width, steps, g, groups);
        const int32_t row = g * kAmxRows;
        multiply(a + row * pairs, panel, pairs, (width - 1) / kWidth + 1, sums);
        for (int32_t r = 0; r < least(rows.count - row, kAmxRows); ++r) {
          add_row(begin, sums + r * kTileColumns, width, rows.c[row + r] + column);
        }
      }
    }
  }
  _tile_release();
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
  if (rows_of(work) >= kLeastRows && may_use_registers()) {
    multiply_on_amx(work);
  } else {
    kAvx512Kernels.gemm_rounded(work);
  }
}
