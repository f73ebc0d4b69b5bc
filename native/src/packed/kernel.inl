// SPDX-License-Identifier: Apache-2.0
//
// The product of rounded rows with packed panels, written once for the vectors of bytes that a
// byte_simd_<isa>.h defines: the including file names it in BLOCKSPARSE_BYTES. The header defines
// vectors of 64 `bytes`, 16 `ints` and 16 `floats`. Weights are codes of at most 63, or any bytes,
// which to_codes() turns into `byte_codes`, less kByteOffset. Up to kMostSumsOfTwo sums of a tile
// are computed in two parts, to shorten the chains of additions. With kMultipliesPairs, the sums of
// two rows are computed together, interleaved until separate(). A tile of whole rows has up to
// kMostLines lines of one panel, or kMostLinesOfTwo of two: a row in two bytes is two lines.
#include <type_traits>

#include "packed/tiles.inl"

namespace {

using blocksparse::packed::code_bits;
using blocksparse::packed::groups_bytes;
using blocksparse::packed::groups_of;
using blocksparse::packed::has_bytes;
using blocksparse::packed::has_minimum;
using blocksparse::packed::head_bytes;
using blocksparse::packed::kHeadGroups;
using blocksparse::packed::kHighUnit;
using blocksparse::packed::kPieceGroups;
using blocksparse::packed::parts_of;
using blocksparse::packed::planes_of;
using blocksparse::packed::rounded_rows;
using blocksparse::packed::row_format;
using blocksparse::packed::scale_bytes;
using blocksparse::packed::sum_of_group;
using blocksparse::packed::sum_of_half;
using blocksparse::packed::two_sums;

// Codes of eight inputs of each output: those of the first four, and those of the others.
struct eight_small {
  bytes first, second;
};
struct eight_bytes {
  byte_codes first, second;
};

// Returns whether codes are looked up in the table of IQ4_NL, whose values take a byte.
constexpr bool is_iq4(weight_type type) {
  return type == weight_type::iq4_nl || type == weight_type::iq4_xs;
}

template <weight_type kType>
using loaded_codes =
    std::conditional_t<has_bytes(kType) || is_iq4(kType), eight_bytes, eight_small>;

template <weight_type kType>
INLINE loaded_codes<kType> load_codes(const uint8_t* group, int32_t eighth) {
  const uint8_t* const codes = group + scale_bytes(kType);
  if constexpr (has_bytes(kType)) {
    return {to_codes(load_bytes(codes + 128 * eighth)),
            to_codes(load_bytes(codes + 128 * eighth + 64))};
  } else if constexpr (code_bits(kType) == 2) {
    static constexpr uint8_t kFirst[16] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    static constexpr uint8_t kSecond[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    const bytes two_eighths = load_bytes(codes + 64 * (eighth / 2));
    const bytes both = eighth % 2 == 0 ? low_halves(two_eighths) : high_halves(two_eighths);
    return {look_up(kFirst, both), look_up(kSecond, both)};
  } else {
    const bytes both = load_bytes(codes + 64 * eighth);
    if constexpr (kType == weight_type::q4_0 || kType == weight_type::q4_k) {
      return {low_halves(both), high_halves(both)};
    } else if constexpr (kType == weight_type::q6_k) {
      // The high bits of the first codes and of the others, in four bits.
      static constexpr uint8_t kFirst[16] = {0, 16, 32, 48, 0, 16, 32, 48,
                                             0, 16, 32, 48, 0, 16, 32, 48};
      static constexpr uint8_t kSecond[16] = {0,  0,  0,  0,  16, 16, 16, 16,
                                              32, 32, 32, 32, 48, 48, 48, 48};
      const bytes four_eighths = load_bytes(codes + 256 + 64 * (eighth / 2));
      const bytes high = eighth % 2 == 0 ? low_halves(four_eighths) : high_halves(four_eighths);
      return {join(low_halves(both), look_up(kFirst, high)),
              join(high_halves(both), look_up(kSecond, high))};
    } else if constexpr (code_bits(kType) == 5) {
      // Bit i of a byte is the high bit of the code of input 4 * i and on.
      static constexpr uint8_t kBits[4][16] = {
          {0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16},
          {0, 0, 16, 16, 0, 0, 16, 16, 0, 0, 16, 16, 0, 0, 16, 16},
          {0, 0, 0, 0, 16, 16, 16, 16, 0, 0, 0, 0, 16, 16, 16, 16},
          {0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16}};
      const bytes all = load_bytes(codes + 256);
      const bytes high = eighth < 2 ? low_halves(all) : high_halves(all);
      return {join(low_halves(both), look_up(kBits[eighth % 2 * 2], high)),
              join(high_halves(both), look_up(kBits[eighth % 2 * 2 + 1], high))};
    } else if constexpr (is_iq4(kType)) {
      // The values of IQ4_NL, with an offset of 128.
      static constexpr uint8_t kValues[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                              129, 141, 153, 166, 181, 197, 217, 241};
      return {to_codes(look_up(kValues, low_halves(both))),
              to_codes(look_up(kValues, high_halves(both)))};
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
  return kType == weight_type::q4_0    ? 8
         : kType == weight_type::mxfp4 ? 12
         : kType == weight_type::q6_k  ? 32
         : has_minimum(kType)          ? 0
                                       : kByteOffset;
}

// The scales of the scales of groups: those of the codes, and those of the minima.
struct head_scales {
  floats codes, sums;
};
template <weight_type kType>
INLINE head_scales load_head(const uint8_t* head) {
  if constexpr (has_minimum(kType)) {
    return {load_float16(head), load_float16(head + 2 * kOutputs)};
  } else {
    return {load_float16(head), set_float(0.0f)};
  }
}

// The scales of a part of a group.
template <weight_type kType>
INLINE floats load_scales(const uint8_t* group, const head_scales& head, int32_t part) {
  if constexpr (kType == weight_type::mxfp4) {
    return load_half_powers(group);
  } else if constexpr (head_bytes(kType) > 0) {
    return mul(head.codes, load_int8(group + part * kOutputs));
  } else {
    return load_float16(group);
  }
}

// The minima of a part of a group.
template <weight_type kType>
INLINE floats load_minima(const uint8_t* group, const head_scales& head, int32_t part) {
  if constexpr (head_bytes(kType) > 0) {
    return mul(head.sums, load_int8(group + (parts_of(kType) + part) * kOutputs));
  } else {
    return load_float16(group + 2 * kOutputs);
  }
}

// Returns the sum of a row's codes in a part of a group, from the sums of the group.
template <weight_type kType>
INLINE int32_t sum_of_part(int32_t sums, int32_t part) {
  return parts_of(kType) == 1 ? sum_of_group(sums)
         : part == 0          ? sum_of_half(sums)
                              : sum_of_group(sums) - sum_of_half(sums);
}

// Returns the correction of a part of a group for the offset of codes, from the sums of a row's
// codes.
template <weight_type kType>
INLINE int32_t offset_of(int32_t sums, int32_t part) {
  return sum_of_part<kType>(sums, part) * offset<kType>();
}

// Returns whether row r of a tile is multiplied together with the row beside it.
constexpr bool in_pair(int32_t r, int32_t rows) { return kMultipliesPairs && (r | 1) < rows; }

// A tile of rows of groups.
template <weight_type kType>
struct group_tile {
  // Only many rows of bytes gain from two panels at a time: unpacking nibbles takes as long as a
  // row or two.
  static constexpr int32_t kMost = kMostRows, kMostOfTwo = has_bytes(kType) ? kMostRowsOfTwo : 0;
  const panel_product& p;

  // Multiplies kRows rows by kPanels panels, from row `row` and output `output` on.
  template <int32_t kPanels, int32_t kRows>
  INLINE void multiply(int32_t row, int32_t output) const {
    const int32_t groups = p.x.groups;
    const int64_t panel_bytes = groups_bytes(kType, groups);
    const uint8_t* panel = p.panels + output / kOutputs * panel_bytes;
    // The first rows prefetch what all rows will read: one or two rows, which are bound by memory,
    // into the first-level cache; two panels prefetch the next two.
    constexpr bool kNear = kPanels == 1 && kRows <= 2;
    const int64_t ahead = kPanels > 1                 ? kPanels * panel_bytes
                          : kNear && has_bytes(kType) ? 4096
                                                      : 8192;
    rows_of_tile<kRows> rows;
    head_scales heads[kPanels];
    floats totals[kPanels][kRows];
    UNROLL
    for (int32_t v = 0; v < kPanels; ++v) {
      heads[v] = {set_float(0.0f), set_float(0.0f)};
    }
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      const int64_t at = int64_t{p.read[row + r]} * groups;
      rows.codes[r] = p.x.codes + at * kInputs;
      rows.scales[r] = p.x.scales + at;
      rows.sums[r] = p.x.negated_sums + at;
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        totals[v][r] = set_float(0.0f);
      }
    }
    for (int32_t g = 0; g < groups; ++g, panel += group_bytes(kType)) {
      int32_t fetched = 0;
      if constexpr (head_bytes(kType) > 0) {
        if (g % kHeadGroups == 0) {
          UNROLL
          for (int32_t v = 0; v < kPanels; ++v) {
            heads[v] = load_head<kType>(panel + v * panel_bytes);
          }
          panel += head_bytes(kType);
          fetched = -head_bytes(kType);
        }
      }
      if (row == 0) {
        for (int32_t v = 0; v < kPanels; ++v) {
          for (int32_t line = fetched; line < group_bytes(kType); line += 64) {
            prefetch<kNear>(panel + ahead + v * panel_bytes + line);
          }
        }
      }
      add_part<0>(rows, g, panel, panel_bytes, heads, totals);
      if constexpr (parts_of(kType) > 1) {
        add_part<1>(rows, g, panel, panel_bytes, heads, totals);
      }
    }
    UNROLL
    for (int32_t v = 0; v < kPanels; ++v) {
      add_totals(p, row, kRows, output + v * kOutputs, totals[v]);
    }
  }

  template <int32_t kRows>
  struct rows_of_tile {
    const int8_t* codes[kRows];
    const float* scales[kRows];
    const int32_t* sums[kRows];
  };

  // Adds the products of a part of group g.
  template <int32_t kPart, int32_t kPanels, int32_t kRows>
  INLINE static void add_part(const rows_of_tile<kRows>& rows, int32_t g, const uint8_t* panel,
                              int64_t panel_bytes, const head_scales (&heads)[kPanels],
                              floats (&totals)[kPanels][kRows]) {
    constexpr bool kInTwo = kPanels * kRows <= kMostSumsOfTwo;
    constexpr int32_t kEighths = kInputs / 8 / parts_of(kType);
    ints dots[kPanels][kRows], others[kPanels][kRows];
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      ints begin = set_int(offset_of<kType>(rows.sums[r][g], kPart));
      if constexpr (kMultipliesPairs && kRows > 1) {
        if (in_pair(r, kRows)) {
          begin = set_pair(offset_of<kType>(rows.sums[r & ~1][g], kPart),
                           offset_of<kType>(rows.sums[r | 1][g], kPart));
        }
      }
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        dots[v][r] = begin;
        others[v][r] = set_int(0);
      }
    }
    UNROLL
    for (int32_t i = 0; i < kEighths; ++i) {
      const int32_t eighth = kPart * kEighths + i;
      loaded_codes<kType> w[kPanels];
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        w[v] = load_codes<kType>(panel + v * panel_bytes, eighth);
      }
      UNROLL
      for (int32_t r = 0; r < kRows; ++r) {
        const eight_codes eight = load_eight(rows.codes[r] + g * kInputs + 8 * eighth);
        UNROLL
        for (int32_t v = 0; v < kPanels; ++v) {
          if constexpr (kMultipliesPairs && kRows > 1) {
            if (in_pair(r, kRows)) {
              if (r % 2 == 0) {
                const eight_codes other = load_eight(rows.codes[r + 1] + g * kInputs + 8 * eighth);
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
      const uint8_t* const group = panel + v * panel_bytes;
      const floats of_part = load_scales<kType>(group, heads[v], kPart);
      if constexpr (kMultipliesPairs && kRows > 1) {
        UNROLL
        for (int32_t r = 0; r + 1 < kRows; r += 2) {
          separate(dots[v][r], dots[v][r + 1]);
        }
      }
      UNROLL
      for (int32_t r = 0; r < kRows; ++r) {
        const ints sum = kInTwo ? add_ints(dots[v][r], others[v][r]) : dots[v][r];
        const floats of_row = set_float(rows.scales[r][g]);
        totals[v][r] = fused(to_floats(sum), mul(of_row, of_part), totals[v][r]);
        if constexpr (has_minimum(kType)) {
          const floats minima = load_minima<kType>(group, heads[v], kPart);
          const auto negated = static_cast<float>(sum_of_part<kType>(rows.sums[r][g], kPart));
          totals[v][r] = fused(set_float(negated), mul(of_row, minima), totals[v][r]);
        }
      }
    }
  }
};

// A tile of whole rows, with sums over all inputs of a piece.
template <int32_t kPlanes>
struct whole_tile {
  static constexpr weight_type kWeights = weight_type::int8;
  static constexpr int32_t kMost = kMostLines / kPlanes, kMostOfTwo = kMostLinesOfTwo / kPlanes;
  const panel_product& p;

  // Multiplies kRows rows by kPanels panels, from row `row` and output `output` on.
  template <int32_t kPanels, int32_t kRows>
  INLINE void multiply(int32_t row, int32_t output) const {
    for (int32_t begin = 0, piece = 0; begin < p.x.groups; begin += kPieceGroups, ++piece) {
      const int32_t rest = p.x.groups - begin;
      add_piece<kPanels, kRows>(row, output, piece, begin,
                                begin + (rest < kPieceGroups ? rest : kPieceGroups));
    }
  }

  // Adds the products of groups [begin, end) of a piece.
  template <int32_t kPanels, int32_t kRows>
  INLINE void add_piece(int32_t row, int32_t output, int32_t piece, int32_t begin,
                        int32_t end) const {
    constexpr int32_t kLines = kRows * kPlanes;
    constexpr bool kInTwo = kPanels * kLines <= kMostSumsOfTwo;
    // See group_tile. A quarter of the most lines are bound by memory, too.
    constexpr bool kNear = kPanels == 1 && (kRows <= 2 || kLines <= kMostLines / 4);
    constexpr int32_t kGroupBytes = group_bytes(kWeights);
    const int64_t panel_bytes = int64_t{p.x.groups} * kGroupBytes;
    const int64_t ahead = kPanels > 1   ? kPanels * panel_bytes
                          : !kNear      ? 8192
                          : kLines <= 2 ? 2048
                                        : 4096;
    const uint8_t* panel = p.panels + output / kOutputs * panel_bytes + begin * kGroupBytes;
    const int64_t stride = p.x.stride();
    const int32_t sums_of_row = p.x.sums_of_row();
    const int8_t* codes[kLines];
    ints dots[kPanels][kLines], others[kPanels][kLines];
    static_assert(!kMultipliesPairs || kByteOffset == 0, "pairs of lines begin with the same sum");
    UNROLL
    for (int32_t l = 0; l < kLines; ++l) {
      const int64_t at = p.read[row + l / kPlanes];
      codes[l] = p.x.codes + at * stride + l % kPlanes * p.x.plane;
      const int32_t* const sums = p.x.negated_sums + at * sums_of_row;
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        dots[v][l] = set_int(sums[piece * kPlanes + l % kPlanes] * kByteOffset);
        others[v][l] = set_int(0);
      }
    }
    for (int32_t g = begin; g < end; ++g, panel += kGroupBytes) {
      if (row == 0) {
        for (int32_t v = 0; v < kPanels; ++v) {
          for (int32_t line = 0; line < kGroupBytes; line += 64) {
            prefetch<kNear>(panel + ahead + v * panel_bytes + line);
          }
        }
      }
      UNROLL
      for (int32_t eighth = 0; eighth < kInputs / 8; ++eighth) {
        loaded_codes<kWeights> w[kPanels];
        UNROLL
        for (int32_t v = 0; v < kPanels; ++v) {
          w[v] = load_codes<kWeights>(panel + v * panel_bytes, eighth);
        }
        UNROLL
        for (int32_t l = 0; l < kLines; ++l) {
          const eight_codes eight = load_eight(codes[l] + g * kInputs + 8 * eighth);
          UNROLL
          for (int32_t v = 0; v < kPanels; ++v) {
            if constexpr (kMultipliesPairs && kLines > 1) {
              if (in_pair(l, kLines)) {
                if (l % 2 == 0) {
                  const eight_codes other = load_eight(codes[l + 1] + g * kInputs + 8 * eighth);
                  add_pair(dots[v][l], dots[v][l + 1], w[v].first, w[v].second, eight, other);
                }
                continue;
              }
            }
            dots[v][l] = add_dots<0>(dots[v][l], w[v].first, eight);
            ints& second = kInTwo ? others[v][l] : dots[v][l];
            second = add_dots<1>(second, w[v].second, eight);
          }
        }
      }
    }
    UNROLL
    for (int32_t v = 0; v < kPanels; ++v) {
      if constexpr (kMultipliesPairs && kLines > 1) {
        UNROLL
        for (int32_t l = 0; l + 1 < kLines; l += 2) {
          separate(dots[v][l], dots[v][l + 1]);
        }
      }
      floats totals[kRows];
      UNROLL
      for (int32_t r = 0; r < kRows; ++r) {
        ints sums[kPlanes];
        UNROLL
        for (int32_t plane = 0; plane < kPlanes; ++plane) {
          const int32_t l = r * kPlanes + plane;
          sums[plane] = kInTwo ? add_ints(dots[v][l], others[v][l]) : dots[v][l];
        }
        totals[r] = joined<kPlanes>(sums);
      }
      add_scaled(p, row, kRows, output + v * kOutputs, totals);
    }
  }
};

void multiply(weight_type type, const panel_product& product) {
  switch (type) {
    case weight_type::bfloat16:
      return run_tiles<pair_tile>(product);
    case weight_type::int8:
      return product.x.format == row_format::one_byte ? run_tiles<whole_tile<1>>(product)
                                                      : run_tiles<whole_tile<2>>(product);
    case weight_type::q8_0:
      return run_tiles<group_tile<weight_type::q8_0>>(product);
    case weight_type::q4_0:
      return run_tiles<group_tile<weight_type::q4_0>>(product);
    case weight_type::mxfp4:
      return run_tiles<group_tile<weight_type::mxfp4>>(product);
    case weight_type::q4_k:
      return run_tiles<group_tile<weight_type::q4_k>>(product);
    case weight_type::q6_k:
      return run_tiles<group_tile<weight_type::q6_k>>(product);
    case weight_type::q5_k:
      return run_tiles<group_tile<weight_type::q5_k>>(product);
    case weight_type::q2_k:
      return run_tiles<group_tile<weight_type::q2_k>>(product);
    case weight_type::q5_1:
      return run_tiles<group_tile<weight_type::q5_1>>(product);
    case weight_type::iq4_nl:
      return run_tiles<group_tile<weight_type::iq4_nl>>(product);
    case weight_type::iq4_xs:
      return run_tiles<group_tile<weight_type::iq4_xs>>(product);
  }
}

// The rounding of numbers that share a scale, given the bits of their largest magnitude.
struct rounding {
  float factor = 0.0f, scale = __builtin_nanf("");
  bool finite = false;

  rounding(uint32_t largest, row_format format) {
    if (largest < 0x7f800000u) {
      const bool two = format == row_format::two_bytes;
      const float top = two ? 127.0f * kHighUnit + 126.0f : 127.0f;
      const float least = two ? 0x1p-111f : 0x1p-119f;
      float m;
      std::memcpy(&m, &largest, sizeof(m));
      m = m > least ? m : least;
      factor = top / m;
      scale = m / top;
      finite = true;
    }
  }
};

// Returns the 32 numbers of a group from x + begin on, of n in total, padded with zeros.
INLINE const float* whole_group(const float* x, int32_t n, int32_t begin,
                                float (&padded)[kInputs]) {
  if (n - begin >= kInputs) {
    return x + begin;
  }
  for (int32_t i = 0; i < kInputs; ++i) {
    padded[i] = i < n - begin ? x[begin + i] : 0.0f;
  }
  return padded;
}

// Returns the sum of all codes, from a result of round_once().
INLINE int32_t sum_of_rounded(int32_t sums) { return (sums - sum_of_half(sums)) / 65536; }

void round_groups(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  const int64_t at = int64_t{r} * to.groups;
  int8_t* const codes = to.codes + r * to.stride();
  for (int32_t g = 0; g < to.groups; ++g) {
    float padded[kInputs];
    const float* const group = whole_group(x, n, g * kInputs, padded);
    const rounding by(largest_bits(group, kInputs), row_format::groups);
    to.scales[at + g] = by.scale;
    if (by.finite) {
      const int32_t sums = -round_once(group, by.factor, codes + g * kInputs);
      to.negated_sums[at + g] = two_sums(sum_of_rounded(sums), sum_of_half(sums));
    } else {
      std::memset(codes + g * kInputs, 0, kInputs);
      to.negated_sums[at + g] = 0;
    }
  }
}

void round_whole(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  const int32_t planes = planes_of(to.format);
  int8_t* const codes = to.codes + r * to.stride();
  int32_t* const sums = to.negated_sums + int64_t{r} * to.sums_of_row();
  float padded[kInputs];
  const int32_t whole = n / kInputs * kInputs;
  uint32_t largest = largest_bits(x, whole);
  if (whole < n) {
    const uint32_t last = largest_bits(whole_group(x, n, whole, padded), kInputs);
    largest = last > largest ? last : largest;
  }
  const rounding by(largest, to.format);
  to.scales[r] = by.scale;
  for (int32_t i = 0; i < to.sums_of_row(); ++i) {
    sums[i] = 0;
  }
  const int32_t rounded = by.finite ? to.groups * kInputs : 0;
  for (int32_t plane = 0; plane < planes; ++plane) {
    std::memset(codes + plane * to.plane + rounded, 0,
                static_cast<std::size_t>(to.stride() - rounded));
  }
  for (int32_t begin = 0; begin < rounded; begin += kInputs) {
    const float* const group = whole_group(x, n, begin, padded);
    int32_t* const of_piece = sums + begin / (kInputs * kPieceGroups) * planes;
    if (planes == 1) {
      of_piece[0] -= sum_of_rounded(round_once(group, by.factor, codes + begin));
    } else {
      int32_t low;
      of_piece[0] -= round_twice(group, by.factor, codes + begin, codes + to.plane + begin, &low);
      of_piece[1] -= low;
    }
  }
}

// Rounds to the nearest, ties to even; NaN stays NaN.
void round_to_bfloat16(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  int8_t* const codes = to.codes + r * to.stride();
  for (int32_t begin = 0; begin < n; begin += kInputs) {
    float padded[kInputs];
    uint32_t all[kInputs];
    uint16_t rounded[kInputs];
    std::memcpy(all, whole_group(x, n, begin, padded), sizeof(all));
    for (int32_t i = 0; i < kInputs; ++i) {
      const uint32_t nearest = (all[i] + 0x7fff + (all[i] >> 16 & 1)) >> 16;
      const bool is_nan = (all[i] & 0x7fffffff) > 0x7f800000;
      rounded[i] = static_cast<uint16_t>(is_nan ? all[i] >> 16 | 0x40 : nearest);
    }
    std::memcpy(codes + 2 * begin, rounded, sizeof(rounded));
  }
}

void round_row(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  switch (to.format) {
    case row_format::groups:
      return round_groups(x, n, to, r);
    case row_format::one_byte:
    case row_format::two_bytes:
      return round_whole(x, n, to, r);
    case row_format::bfloat16:
      return round_to_bfloat16(x, n, to, r);
  }
}

}  // namespace
