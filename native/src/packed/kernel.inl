// SPDX-License-Identifier: Apache-2.0
//
// The product of rounded rows with packed panels, written once in terms of a bytes_<isa>.h, which
// the including file has named in BLOCKSPARSE_BYTES. A type of weights is what it loads.
//
// The header defines vectors of 64 `bytes`, 16 `ints` and 16 `floats`. Bytes that stand for
// weights are codes of at most 24, or any bytes, which to_codes() makes to `byte_codes`, less
// kByteOffset. Up to kMostSumsOfTwo sums of a tile are made in two parts, as additions wait for
// each other. Where kMultipliesPairs, the sums of two rows are made together, and mixed until
// separate().
#include BLOCKSPARSE_BYTES

#include <type_traits>

#include "packed/panels.h"

namespace {

using blocksparse::packed::group_bytes;
using blocksparse::packed::groups_of;
using blocksparse::packed::has_bytes;
using blocksparse::packed::kInputs;
using blocksparse::packed::kOutputs;
using blocksparse::packed::panel_product;
using blocksparse::packed::rounded_rows;
using blocksparse::packed::scale_bytes;
using blocksparse::packed::weight_type;

// Codes of eight inputs of each output: those of the first four, and of the others.
struct eight_small {
  bytes first, second;
};
struct eight_bytes {
  byte_codes first, second;
};
template <weight_type kType>
using loaded_codes = std::conditional_t<has_bytes(kType), eight_bytes, eight_small>;

template <weight_type kType>
INLINE loaded_codes<kType> load_codes(const uint8_t* group, int32_t eighth) {
  const uint8_t* const codes = group + scale_bytes(kType);
  if constexpr (has_bytes(kType)) {
    return {to_codes(load_bytes(codes + 128 * eighth)),
            to_codes(load_bytes(codes + 128 * eighth + 64))};
  } else {
    const bytes both = load_bytes(codes + 64 * eighth);
    if constexpr (kType == weight_type::q4_0) {
      return {low_halves(both), high_halves(both)};
    } else {
      // Twice the values of E2M1, with an offset of 12.
      static constexpr uint8_t kValues[16] = {12, 13, 14, 15, 16, 18, 20, 24,
                                              12, 11, 10, 9,  8,  6,  4,  0};
      return {look_up(kValues, low_halves(both)), look_up(kValues, high_halves(both))};
    }
  }
}

template <weight_type kType>
constexpr int32_t offset() {
  return kType == weight_type::q4_0 ? 8 : kType == weight_type::mxfp4 ? 12 : kByteOffset;
}

// The scales of a group, times that of a row.
template <weight_type kType>
INLINE floats load_scales(const uint8_t* group) {
  if constexpr (kType == weight_type::mxfp4) {
    return load_half_powers(group);
  } else {
    return load_float16(group);
  }
}

// Whether row r of a tile's rows is multiplied together with the one beside it.
constexpr bool in_pair(int32_t r, int32_t rows) { return kMultipliesPairs && (r | 1) < rows; }

// Adds the totals of `count` rows from row `row` on, in the columns of a panel, to c.
template <weight_type kType, int32_t kRows>
INLINE void add_totals(const panel_product& p, int32_t row, int32_t count, int32_t output,
                       const floats (&totals)[kRows]) {
  const int32_t n = p.output_end - output < kOutputs ? p.output_end - output : kOutputs;
  floats output_scale = set_float(1.0f);
  if constexpr (kType == weight_type::int8) {
    output_scale = load_floats(p.output_scales + output, n);
  }
  UNROLL
  for (int32_t r = 0; r < kRows; ++r) {
    if (r < count) {
      float* const c = p.c + p.rows[p.position[row + r]] * p.ldc + output;
      floats result = totals[r];
      if constexpr (kType == weight_type::int8) {
        result = mul(result, output_scale);
      }
      store_floats(c, n, add(load_floats(c, n), result));
    }
  }
}

template <weight_type kType>
struct tile {
  const panel_product& p;

  // kRows rows times kPanels panels, from row `row` and output `output` on.
  template <int32_t kPanels, int32_t kRows>
  INLINE void multiply(int32_t row, int32_t output) const {
    const int32_t groups = p.x.groups;
    const int64_t panel_bytes = int64_t{groups} * group_bytes(kType);
    const uint8_t* panel = p.panels + output / kOutputs * panel_bytes;
    constexpr bool kInTwo = kPanels * kRows <= kMostSumsOfTwo;
    // The first rows fetch ahead what all rows will read: one or two rows, which wait for memory
    // alone, into the first-level cache; two panels the next two.
    constexpr bool kNear = kPanels == 1 && kRows <= 2;
    const int64_t ahead = kPanels > 1                 ? kPanels * panel_bytes
                          : kNear && has_bytes(kType) ? 4096
                                                      : 8192;
    const int8_t* codes[kRows];
    const float* scales[kRows];
    const int32_t* sums[kRows];
    floats totals[kPanels][kRows];
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      const int64_t at = int64_t{p.read[row + r]} * groups;
      codes[r] = p.x.codes + at * kInputs;
      scales[r] = p.x.scales + at;
      sums[r] = p.x.negated_sums + at;
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        totals[v][r] = set_float(0.0f);
      }
    }
    for (int32_t g = 0; g < groups; ++g, panel += group_bytes(kType)) {
      if (row == 0) {
        for (int32_t v = 0; v < kPanels; ++v) {
          for (int32_t line = 0; line < group_bytes(kType); line += 64) {
            prefetch<kNear>(panel + ahead + v * panel_bytes + line);
          }
        }
      }
      ints dots[kPanels][kRows], others[kPanels][kRows];
      UNROLL
      for (int32_t r = 0; r < kRows; ++r) {
        ints begin = set_int(sums[r][g] * offset<kType>());
        if constexpr (kMultipliesPairs && kRows > 1) {
          if (in_pair(r, kRows)) {
            begin = set_pair(sums[r & ~1][g] * offset<kType>(), sums[r | 1][g] * offset<kType>());
          }
        }
        UNROLL
        for (int32_t v = 0; v < kPanels; ++v) {
          dots[v][r] = begin;
          others[v][r] = set_int(0);
        }
      }
      UNROLL
      for (int32_t eighth = 0; eighth < kInputs / 8; ++eighth) {
        loaded_codes<kType> w[kPanels];
        UNROLL
        for (int32_t v = 0; v < kPanels; ++v) {
          w[v] = load_codes<kType>(panel + v * panel_bytes, eighth);
        }
        UNROLL
        for (int32_t r = 0; r < kRows; ++r) {
          const eight_codes eight = load_eight(codes[r] + g * kInputs + 8 * eighth);
          UNROLL
          for (int32_t v = 0; v < kPanels; ++v) {
            if constexpr (kMultipliesPairs && kRows > 1) {
              if (in_pair(r, kRows)) {
                if (r % 2 == 0) {
                  const eight_codes other = load_eight(codes[r + 1] + g * kInputs + 8 * eighth);
                  add_pair(dots[v][r], dots[v][r + 1], w[v].first, w[v].second, eight, other);
                }
                continue;
              }
            }
            dots[v][r] = add_dots<0>(dots[v][r], w[v].first, eight);
            ints& second = kInTwo ? others[v][r] : dots[v][r];
            second = add_dots<1>(second, w[v].second, eight);
          }
        }
      }
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        floats of_group = set_float(1.0f);
        if constexpr (kType != weight_type::int8) {
          of_group = load_scales<kType>(panel + v * panel_bytes);
        }
        if constexpr (kMultipliesPairs && kRows > 1) {
          UNROLL
          for (int32_t r = 0; r + 1 < kRows; r += 2) {
            separate(dots[v][r], dots[v][r + 1]);
          }
        }
        UNROLL
        for (int32_t r = 0; r < kRows; ++r) {
          const ints sum = kInTwo ? add_ints(dots[v][r], others[v][r]) : dots[v][r];
          floats scale = set_float(scales[r][g]);
          if constexpr (kType != weight_type::int8) {
            scale = mul(scale, of_group);
          }
          totals[v][r] = fused(to_floats(sum), scale, totals[v][r]);
        }
      }
    }
    UNROLL
    for (int32_t v = 0; v < kPanels; ++v) {
      add_totals<kType>(p, row, kRows, output + v * kOutputs, totals[v]);
    }
  }

  // All rows, cut into tiles as evenly as can be: a tile of one row is slow.
  template <int32_t kPanels, int32_t kMost>
  INLINE void multiply_rows(int32_t output) const {
    for (int32_t row = 0; row < p.count;) {
      const int32_t left = p.count - row;
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
    multiply<kPanels, kRows>(row, output);
  }

  // Panel after panel, as they lie in memory. Only many rows of bytes gain by two at a time: to
  // unpack halves takes as long as a row or two.
  void run() const {
    int32_t output = p.output_begin;
    if constexpr (has_bytes(kType) && kMostRowsOfTwo > 0) {
      for (; p.count > kMostRows && output + kOutputs < p.output_end; output += 2 * kOutputs) {
        multiply_rows<2, kMostRowsOfTwo>(output);
      }
    }
    for (; output < p.output_end; output += kOutputs) {
      multiply_rows<1, kMostRows>(output);
    }
  }
};

void multiply(weight_type type, const panel_product& product) {
  switch (type) {
    case weight_type::int8:
      return tile<weight_type::int8>{product}.run();
    case weight_type::q8_0:
      return tile<weight_type::q8_0>{product}.run();
    case weight_type::q4_0:
      return tile<weight_type::q4_0>{product}.run();
    case weight_type::mxfp4:
      return tile<weight_type::mxfp4>{product}.run();
  }
}

void round_row(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  const int64_t at = int64_t{r} * to.groups;
  for (int32_t g = 0; g < to.groups; ++g) {
    float padded[kInputs] = {};
    const float* group = x + g * kInputs;
    if (n - g * kInputs < kInputs) {
      for (int32_t i = 0; i < n - g * kInputs; ++i) {
        padded[i] = group[i];
      }
      group = padded;
    }
    round_group(group, to.codes + (at + g) * kInputs, to.scales + at + g, to.negated_sums + at + g);
  }
}

}  // namespace
