// SPDX-License-Identifier: Apache-2.0
//
// Rows of int8 times packed panels by the tiles of AMX. Whole rows that follow each other: 32 rows
// in one byte, or 16 rows in two, times two panels, with sums of all inputs of a piece in tiles.
// Rows of groups: 16 rows times a group of a panel, whose sums are scaled and added as kernel.inl
// does. Few rows, and whole rows that do not follow each other, are left to AVX-512 VNNI.
//
// A test includes this with the instructions replaced by functions.
#include <initializer_list>

#include "kernels/amx_registers.h"
#define BLOCKSPARSE_BYTES "packed/bytes_avx512vnni.h"
#include "packed/kernel.inl"

namespace {

using blocksparse::packed::rounded_bytes;
using blocksparse::packed::rows_at;

constexpr int32_t kTileRows = 16;

// Fewer take about as long without tiles, which are always whole.
constexpr int32_t kLeastRows = 8;

// Groups whose codes are copied before they are multiplied.
constexpr int32_t kCopiedGroups = 16;

// Register 0 gets the sums, 1 the codes of rows, 2 those of weights.
void configure_for_groups() {
  register_layout layout;
  layout.set(0, kTileRows, kOutputs * 4);
  layout.set(1, kTileRows, kInputs);
  layout.set(2, kInputs / 4, kOutputs * 4);
  layout.apply();
}

INLINE void multiply_group(const int8_t* rows, const uint8_t* weights, int32_t* sums) {
  _tile_zero(0);
  _tile_loadd(1, rows, kInputs);
  _tile_loadd(2, weights, kOutputs * 4);
  _tile_dpbsud(0, 1, 2);
  _tile_stored(0, sums, kOutputs * 4);
}

template <weight_type kType>
struct group_amx_tile {
  const panel_product& p;

  // `count` rows from row `row` on times the panel from output `output` on.
  void multiply(int32_t row, int32_t count, int32_t output) const {
    alignas(64) int8_t x[kCopiedGroups][kTileRows][kInputs];
    alignas(64) int32_t begins[kCopiedGroups][kTileRows];
    alignas(64) float scales[kCopiedGroups][kTileRows];
    alignas(64) uint8_t unpacked[kCopiedGroups][kOutputs * kInputs];
    alignas(64) int32_t sums[2][kTileRows * kOutputs];
    const int32_t groups = p.x.groups;
    const uint8_t* const panel =
        p.panels + int64_t{output / kOutputs} * groups * group_bytes(kType);
    floats totals[kTileRows];
    UNROLL
    for (int32_t r = 0; r < kTileRows; ++r) {
      totals[r] = set_float(0.0f);
    }
    for (int32_t begin = 0; begin < groups; begin += kCopiedGroups) {
      const int32_t steps = groups - begin < kCopiedGroups ? groups - begin : kCopiedGroups;
      for (int32_t r = 0; r < kTileRows; ++r) {
        // Missing rows are the last one once more.
        const int64_t at = int64_t{p.read[row + (r < count ? r : count - 1)]} * groups + begin;
        for (int32_t g = 0; g < steps; ++g) {
          std::memcpy(x[g][r], p.x.codes + (at + g) * kInputs, kInputs);
          begins[g][r] = p.x.negated_sums[at + g] * offset<kType>();
          scales[g][r] = p.x.scales[at + g];
        }
      }
      if constexpr (!has_bytes(kType)) {
        for (int32_t g = 0; g < steps; ++g) {
          for (int32_t eighth = 0; eighth < kInputs / 8; ++eighth) {
            const auto w = load_codes<kType>(panel + (begin + g) * group_bytes(kType), eighth);
            _mm512_store_si512(unpacked[g] + 128 * eighth, w.first);
            _mm512_store_si512(unpacked[g] + 128 * eighth + 64, w.second);
          }
        }
        publish(unpacked);
      }
      publish(x);
      // Sums are read a group later than they are written: by then they are in the cache.
      for (int32_t g = 0; g <= steps; ++g) {
        const uint8_t* const group = panel + (begin + g) * group_bytes(kType);
        if (g < steps) {
          multiply_group(x[g][0], has_bytes(kType) ? group + scale_bytes(kType) : unpacked[g],
                         sums[g % 2]);
        }
        if (g > 0) {
          add_group(group - group_bytes(kType), sums[(g - 1) % 2], begins[g - 1], scales[g - 1],
                    totals);
        }
      }
    }
    add_totals(p, row, count, output, totals);
  }

  INLINE static void add_group(const uint8_t* group, const int32_t* sums, const int32_t* begins,
                               const float* scales, floats* totals) {
    const floats of_group = load_scales<kType>(group);
    UNROLL
    for (int32_t r = 0; r < kTileRows; ++r) {
      const ints sum = add_ints(_mm512_load_si512(sums + r * kOutputs), set_int(begins[r]));
      const floats scale = mul(set_float(scales[r]), of_group);
      totals[r] = fused(to_floats(sum), scale, totals[r]);
    }
  }

  // The first `rows` rows.
  void run(int32_t rows) const {
    configure_for_groups();
    for (int32_t output = p.output_begin; output < p.output_end; output += kOutputs) {
      for (int32_t row = 0; row < rows; row += kTileRows) {
        multiply(row, rows - row < kTileRows ? rows - row : kTileRows, output);
      }
    }
    _tile_release();
  }
};

// Inputs of a tile of whole rows: two groups.
constexpr int32_t kTileGroups = 2;

// Registers 0 to 3 get sums, 4 and 5 codes of rows, 6 and 7 those of two panels.
void configure_for_whole_rows() {
  register_layout layout;
  for (int32_t i = 0; i < 8; ++i) {
    layout.set(i, kTileRows, kOutputs * 4);
  }
  layout.apply();
}

// Whole rows in kPlanes bytes, which follow each other.
template <int32_t kPlanes>
struct whole_amx_tile {
  static constexpr int32_t kGroupBytes = group_bytes(weight_type::int8);
  const panel_product& p;

  // The sums of kTiles tiles of rows, times kPanels panels.
  template <int32_t kTiles, int32_t kPanels>
  struct sums_of_tiles {
    alignas(64) int32_t all[kTiles][kPanels][kTileRows * kOutputs];
  };

  // Adds the products of two groups: of rows from codes[0] and codes[1] on, and panels.
  template <int32_t kTiles, int32_t kPanels>
  INLINE static void add_groups(const int8_t* const (&codes)[kTiles], int64_t stride,
                                const uint8_t* panels, int64_t panel_bytes) {
    _tile_loadd(4, codes[0], stride);
    _tile_loadd(6, panels, kOutputs * 4);
    _tile_dpbsud(0, 4, 6);
    if constexpr (kPanels > 1) {
      _tile_loadd(7, panels + panel_bytes, kOutputs * 4);
      _tile_dpbsud(1, 4, 7);
    }
    if constexpr (kTiles > 1) {
      _tile_loadd(5, codes[1], stride);
      _tile_dpbsud(2, 5, 6);
      if constexpr (kPanels > 1) {
        _tile_dpbsud(3, 5, 7);
      }
    }
  }

  template <int32_t kTiles, int32_t kPanels>
  INLINE static void store(sums_of_tiles<kTiles, kPanels>* sums) {
    _tile_stored(0, sums->all[0][0], kOutputs * 4);
    if constexpr (kPanels > 1) {
      _tile_stored(1, sums->all[0][1], kOutputs * 4);
    }
    if constexpr (kTiles > 1) {
      _tile_stored(2, sums->all[1][0], kOutputs * 4);
      if constexpr (kPanels > 1) {
        _tile_stored(3, sums->all[1][1], kOutputs * 4);
      }
    }
  }

  // kTiles * 16 / kPlanes rows from row `row` on, times kPanels panels. The first `skipped` rows
  // are not added to c: another block has them.
  template <int32_t kTiles, int32_t kPanels>
  INLINE void multiply(int32_t row, int32_t skipped, int32_t output, bool fetches) const {
    const int64_t panel_bytes = int64_t{p.x.groups} * kGroupBytes;
    const uint8_t* panels = p.panels + output / kOutputs * panel_bytes;
    const int64_t stride = p.x.stride();
    const int8_t* codes[kTiles];
    for (int32_t t = 0; t < kTiles; ++t) {
      codes[t] =
          p.x.codes + p.read[row] * stride + t * (kPlanes == 1 ? kTileRows * stride : p.x.plane);
    }
    for (int32_t begin = 0, piece = 0; begin < p.x.groups; begin += kPieceGroups, ++piece) {
      const int32_t rest = p.x.groups - begin;
      const int32_t groups = rest < kPieceGroups ? rest : kPieceGroups;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int32_t g = 0; g + 1 < groups; g += kTileGroups) {
        for (int32_t v = 0; v < kPanels && fetches; ++v) {
          for (int32_t line = 0; line < kTileGroups * kGroupBytes; line += 64) {
            prefetch<false>(panels + (kPanels + v) * panel_bytes + line);
          }
        }
        add_groups<kTiles, kPanels>(codes, stride, panels, panel_bytes);
        panels += kTileGroups * kGroupBytes;
        for (int32_t t = 0; t < kTiles; ++t) {
          codes[t] += kTileGroups * kInputs;
        }
      }
      if (groups % kTileGroups != 0) {
        // Nothing is read behind the last group, where codes are 0.
        alignas(64) uint8_t last[kPanels][kTileGroups * kGroupBytes] = {};
        for (int32_t v = 0; v < kPanels; ++v) {
          std::memcpy(last[v], panels + v * panel_bytes, std::size_t{kGroupBytes});
        }
        publish(last);
        add_groups<kTiles, kPanels>(codes, stride, last[0], kTileGroups * kGroupBytes);
      }
      sums_of_tiles<kTiles, kPanels> sums;
      store(&sums);
      add(sums, row, skipped, piece, output);
    }
  }

  // Adds the products of a piece to c.
  template <int32_t kTiles, int32_t kPanels>
  INLINE void add(const sums_of_tiles<kTiles, kPanels>& sums, int32_t row, int32_t skipped,
                  int32_t piece, int32_t output) const {
    for (int32_t r = skipped; r < kTiles * kTileRows / kPlanes; ++r) {
      const int32_t* const begins =
          p.x.negated_sums + int64_t{p.read[row + r]} * p.x.sums_of_row() + piece * kPlanes;
      UNROLL
      for (int32_t v = 0; v < kPanels; ++v) {
        ints all[kPlanes];
        UNROLL
        for (int32_t plane = 0; plane < kPlanes; ++plane) {
          const int32_t tile = kPlanes == 1 ? r / kTileRows : plane;
          const ints sum = _mm512_load_si512(sums.all[tile][v] + r % kTileRows * kOutputs);
          all[plane] = add_ints(sum, set_int(begins[plane] * kByteOffset));
        }
        floats total[1] = {joined<kPlanes>(all)};
        add_scaled(p, row + r, 1, output + v * kOutputs, total);
      }
    }
  }

  // A block of rows: as many as kTiles tiles have, the last ones of them if fewer are left.
  template <int32_t kTiles, int32_t kPanels>
  INLINE void multiply_block(int32_t row, int32_t output) const {
    constexpr int32_t kRows = kTiles * kTileRows / kPlanes;
    const int32_t begin = p.count - row < kRows ? p.count - kRows : row;
    multiply<kTiles, kPanels>(begin, row - begin, output, row == 0);
  }

  template <int32_t kPanels>
  INLINE void multiply_rows(int32_t output) const {
    for (int32_t row = 0; row < p.count;) {
      if (kPlanes == 2 || (p.count >= 2 * kTileRows && p.count - row > kTileRows)) {
        multiply_block<2, kPanels>(row, output);
        row += 2 * kTileRows / kPlanes;
      } else {
        multiply_block<1, kPanels>(row, output);
        row += kTileRows;
      }
    }
  }

  void run() const {
    configure_for_whole_rows();
    int32_t output = p.output_begin;
    for (; output + kOutputs < p.output_end; output += 2 * kOutputs) {
      multiply_rows<2>(output);
    }
    if (output < p.output_end) {
      multiply_rows<1>(output);
    }
    _tile_release();
  }
};

bool follow_each_other(const int32_t* rows, int32_t count) {
  for (int32_t i = 1; i < count; ++i) {
    if (rows[i] != rows[0] + i) {
      return false;
    }
  }
  return true;
}

void multiply_whole_rows(const panel_product& product) {
  if (product.count < kTileRows || !follow_each_other(product.read, product.count)) {
    multiply(weight_type::int8, product);
  } else if (product.x.format == row_format::one_byte) {
    whole_amx_tile<1>{product}.run();
  } else {
    whole_amx_tile<2>{product}.run();
  }
}

void multiply_by_tiles(weight_type type, const panel_product& product) {
  if (type == weight_type::int8) {
    return multiply_whole_rows(product);
  }
  const int32_t rest = product.count % kTileRows;
  const int32_t rows = rest < kLeastRows ? product.count - rest : product.count;
  if (rows > 0) {
    if (type == weight_type::q8_0) {
      group_amx_tile<weight_type::q8_0>{product}.run(rows);
    } else if (type == weight_type::q4_0) {
      group_amx_tile<weight_type::q4_0>{product}.run(rows);
    } else {
      group_amx_tile<weight_type::mxfp4>{product}.run(rows);
    }
  }
  if (rows < product.count) {
    panel_product few = product;
    few.read += rows;
    few.position += rows;
    few.count -= rows;
    multiply(type, few);
  }
}

// Rows of small codes, in memory of their own.
template <int32_t kCount, int32_t kGroups>
struct some_rows {
  alignas(4) uint8_t memory[kCount * (2 * 192 + 64)];
  float x[kGroups * kInputs];
  rounded_rows rows;

  explicit some_rows(row_format format) : rows(rows_at(memory, format, kCount, kGroups)) {
    static_assert(rounded_bytes(row_format::two_bytes, kCount, kGroups) <= sizeof(memory) &&
                  rounded_bytes(row_format::groups, kCount, kGroups) <= sizeof(memory));
    for (int32_t r = 0; r < kCount; ++r) {
      for (int32_t i = 0; i < kGroups * kInputs; ++i) {
        x[i] = static_cast<float>((r * 31 + i) * 89 % 255 - 127) / static_cast<float>(3 + r);
      }
      round_row(x, kGroups * kInputs, rows, r);
    }
  }
};

// Whether tiles give the bits that VNNI gives, on some numbers of each type.
bool are_exact(weight_type type, row_format format) {
  constexpr int32_t kGroups = 3, kCount = 2 * kTileRows + kLeastRows;
  constexpr int32_t kMostBytes = 2 * kGroups * group_bytes(weight_type::q8_0);
  const some_rows<kCount, kGroups> x(format);
  float output_scales[2 * kOutputs];
  int32_t read[kCount], rows[kCount];
  uint8_t panels[kMostBytes];
  float by_tiles[kCount][2 * kOutputs] = {}, expected[kCount][2 * kOutputs] = {};
  for (int32_t r = 0; r < kCount; ++r) {
    rows[r] = (r * 7 + 3) % kCount;
    read[r] = type == weight_type::int8 ? r : rows[r];
  }
  for (int32_t q = 0; q < 2 * kOutputs; ++q) {
    output_scales[q] = 1.0f / static_cast<float>(2 + q);
  }
  for (int32_t i = 0; i < kMostBytes; ++i) {
    const bool scale = i % group_bytes(type) < scale_bytes(type);
    panels[i] = static_cast<uint8_t>(scale ? 0x2c + i % 3 : i * 59);
  }
  panel_product product = {panels, output_scales, 0,      2 * kOutputs, x.rows,      read,
                           rows,   rows,          kCount, by_tiles[0],  2 * kOutputs};
  multiply_by_tiles(type, product);
  product.c = expected[0];
  multiply(type, product);
  return std::memcmp(by_tiles, expected, sizeof(expected)) == 0;
}

bool tiles_are_exact() {
  return are_exact(weight_type::int8, row_format::one_byte) &&
         are_exact(weight_type::int8, row_format::two_bytes) &&
         are_exact(weight_type::q8_0, row_format::groups) &&
         are_exact(weight_type::q4_0, row_format::groups) &&
         are_exact(weight_type::mxfp4, row_format::groups);
}

}  // namespace
