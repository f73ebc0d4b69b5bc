// SPDX-License-Identifier: Apache-2.0
// The loops around the tiles of a product with packed panels, the addition of their totals, and the
// tiles of bfloat16, in terms of a byte_simd_<isa>.h; see kernel.inl.
#include BLOCKSPARSE_BYTES

#include "packed/panels.h"

namespace {

using blocksparse::packed::group_bytes;
using blocksparse::packed::kHighUnit;
using blocksparse::packed::kInputs;
using blocksparse::packed::kOutputs;
using blocksparse::packed::panel_product;
using blocksparse::packed::weight_type;

// Adds the totals of `count` rows from row `row` on, in the columns of a panel, to c.
template <int32_t kRows>
INLINE void add_totals(const panel_product& p, int32_t row, int32_t count, int32_t output,
                       const floats (&totals)[kRows]) {
  const int32_t n = p.output_end - output < kOutputs ? p.output_end - output : kOutputs;
  UNROLL
  for (int32_t r = 0; r < kRows; ++r) {
    if (r < count) {
      float* const c = p.c + p.rows[p.position[row + r]] * p.ldc + output;
      store_floats(c, n, add(load_floats(c, n), totals[r]));
    }
  }
}

// Adds totals of whole rows, after scaling them.
template <int32_t kRows>
INLINE void add_scaled(const panel_product& p, int32_t row, int32_t count, int32_t output,
                       floats (&totals)[kRows]) {
  const int32_t n = p.output_end - output < kOutputs ? p.output_end - output : kOutputs;
  const floats of_output = load_floats(p.output_scales + output, n);
  UNROLL
  for (int32_t r = 0; r < kRows; ++r) {
    if (r < count) {
      totals[r] = mul(mul(totals[r], set_float(p.x.scales[p.read[row + r]])), of_output);
    }
  }
  add_totals(p, row, count, output, totals);
}

// Returns a product as an integer, from the sums of its planes.
template <int32_t kPlanes>
INLINE floats joined(const ints* sums) {
  const floats high = to_floats(sums[0]);
  if constexpr (kPlanes == 1) {
    return high;
  } else {
    return fused(high, set_float(static_cast<float>(kHighUnit)), to_floats(sums[1]));
  }
}

// Pairs of weights of each output that follow each other, and their products with those of a row.
// The second product is added first, as dot products of bfloat16 do.
#if defined(__AVX512BF16__)
using pairs = __m512bh;
INLINE pairs load_pairs(const uint8_t* p) { return reinterpret_cast<pairs>(load_bytes(p)); }
INLINE floats add_products(floats sum, pairs w, uint32_t x) {
  return _mm512_dpbf16_ps(sum, w,
                          reinterpret_cast<pairs>(_mm512_set1_epi32(static_cast<int32_t>(x))));
}
#else
struct pairs {
  floats first, second;
};
INLINE pairs load_pairs(const uint8_t* p) {
  const bytes both = load_bytes(p);
  return {low_bfloat16(both), high_bfloat16(both)};
}
INLINE float float_of_bits(uint32_t pattern) {
  float x;
  std::memcpy(&x, &pattern, sizeof(x));
  return x;
}
INLINE floats add_products(floats sum, pairs w, uint32_t x) {
  const floats second = set_float(float_of_bits(x & 0xffff0000));
  const floats first = set_float(float_of_bits(x << 16));
  return fused(first, w.first, fused(second, w.second, sum));
}
#endif

// A tile of rows of bfloat16, with sums over all inputs.
struct pair_tile {
  static constexpr int32_t kMost = kMostLines, kMostOfTwo = kMostLinesOfTwo;
  const panel_product& p;

  // Multiplies kRows rows by kPanels panels, from row `row` and output `output` on.
  template <int32_t kPanels, int32_t kRows>
  INLINE void multiply(int32_t row, int32_t output) const {
    // See group_tile.
    constexpr bool kNear = kPanels == 1 && kRows <= 2;
    constexpr int32_t kStepPairs = 4, kPairBytes = 4 * kOutputs;
    const int64_t panel_bytes = int64_t{p.x.groups} * group_bytes(weight_type::bfloat16);
    const int64_t ahead = kPanels > 1 ? kPanels * panel_bytes : 8192;
    const uint8_t* panel = p.panels + output / kOutputs * panel_bytes;
    const int8_t* codes[kRows];
    floats totals[kPanels][kRows];
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      codes[r] = p.x.codes + p.read[row + r] * p.x.stride();
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        totals[v][r] = set_float(0.0f);
      }
    }
    const int64_t row_bytes = int64_t{p.x.groups} * kInputs * 2;
    for (int64_t at = 0; at < row_bytes; at += 4 * kStepPairs) {
      if (row == 0) {
        for (int32_t v = 0; v < kPanels; ++v) {
          for (int32_t line = 0; line < kStepPairs * kPairBytes; line += 64) {
            prefetch<kNear>(panel + ahead + v * panel_bytes + line);
          }
        }
      }
      UNROLL
      for (int32_t i = 0; i < kStepPairs; ++i, panel += kPairBytes) {
        pairs w[kPanels];
        UNROLL
        for (int32_t v = 0; v < kPanels; ++v) {
          w[v] = load_pairs(panel + v * panel_bytes);
        }
        UNROLL
        for (int32_t r = 0; r < kRows; ++r) {
          uint32_t x;
          std::memcpy(&x, codes[r] + at + 4 * i, sizeof(x));
          UNROLL
          for (int32_t v = 0; v < kPanels; ++v) {
            totals[v][r] = add_products(totals[v][r], w[v], x);
          }
        }
      }
    }
    UNROLL
    for (int32_t v = 0; v < kPanels; ++v) {
      add_totals(p, row, kRows, output + v * kOutputs, totals[v]);
    }
  }
};

// Runs tiles of one kind over all rows and outputs.
template <typename Tile>
struct all_tiles {
  const Tile tile;

  // Multiplies all rows, cut into tiles as evenly as possible: a tile of one row is slow.
  template <int32_t kPanels, int32_t kMost>
  INLINE void multiply_rows(int32_t output) const {
    for (int32_t row = 0; row < tile.p.count;) {
      const int32_t left = tile.p.count - row;
      const int32_t tiles = (left + kMost - 1) / kMost;
      const int32_t count = (left + tiles - 1) / tiles;
      multiply_some<kPanels, kMost>(count, row, output);
      row += count;
    }
  }

  template <int32_t kPanels, int32_t kRows>
  INLINE void multiply_some(int32_t count, int32_t row, int32_t output) const {
    if constexpr (kRows > 1) {
      if (count < kRows) {
        return multiply_some<kPanels, kRows - 1>(count, row, output);
      }
    }
    tile.template multiply<kPanels, kRows>(row, output);
  }

  // Runs panel after panel, in memory order; two at a time for many rows, if the tile supports it.
  void run() const {
    const panel_product& p = tile.p;
    int32_t output = p.output_begin;
    if constexpr (Tile::kMostOfTwo > 0) {
      for (; p.count > Tile::kMost && output + kOutputs < p.output_end; output += 2 * kOutputs) {
        multiply_rows<2, Tile::kMostOfTwo>(output);
      }
    }
    for (; output < p.output_end; output += kOutputs) {
      multiply_rows<1, Tile::kMost>(output);
    }
  }
};

template <typename Tile>
void run_tiles(const panel_product& product) {
  all_tiles<Tile>{Tile{product}}.run();
}

}  // namespace
