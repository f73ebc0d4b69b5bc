// SPDX-License-Identifier: Apache-2.0
//
// Rows times packed panels by the tiles of AMX: up to 32 rows of bfloat16 or of one byte, or 16
// rows of two bytes, that follow each other, times two panels, with sums of all inputs, or of a
// piece, in tiles. The kernels of AVX-512 VNNI take other rows. They take rows of groups, too:
// scaling the sums of each group, which leave the tiles through memory, takes longer than
// multiplying.
//
// A test includes this with the instructions replaced by functions.
#include "kernels/amx_registers.h"
#define BLOCKSPARSE_BYTES "packed/byte_simd_avx512vnni.h"
#include "packed/tiles.inl"

namespace {

using blocksparse::packed::kAvx512Vnni;
using blocksparse::packed::kPieceGroups;
using blocksparse::packed::planes_of;
using blocksparse::packed::rounded_bytes;
using blocksparse::packed::rounded_rows;
using blocksparse::packed::row_format;
using blocksparse::packed::rows_at;

constexpr int32_t kTileRows = 16;

// Registers 0 to 3 hold sums of `height` rows, 4 and 5 codes of rows, 6 and 7 codes of two panels.
void configure(int32_t height) {
  register_layout layout;
  for (int32_t i = 0; i < 8; ++i) {
    layout.set(i, i < 6 ? height : kTileRows, kOutputs * 4);
  }
  layout.apply();
}

// A tile of rows of a format that follow each other.
template <row_format kFormat>
struct amx_tile {
  static constexpr bool kIsFloat = kFormat == row_format::bfloat16;
  static constexpr weight_type kWeights = kIsFloat ? weight_type::bfloat16 : weight_type::int8;
  static constexpr int32_t kPlanes = planes_of(kFormat);
  static constexpr int32_t kTileBytes = kTileRows * kOutputs * 4;
  static constexpr int32_t kGroupBytes = group_bytes(kWeights);
  static constexpr int32_t kTileGroups = kTileBytes / kGroupBytes;
  const panel_product& p;
  const int32_t height = p.count < kTileRows ? p.count : kTileRows;  // the number of rows of a tile

  explicit amx_tile(const panel_product& product) : p(product) {}

  // The sums of kTiles tiles of rows, times kPanels panels.
  template <int32_t kTiles, int32_t kPanels>
  struct sums_of_tiles {
    alignas(64) int32_t all[kTiles][kPanels][kTileRows * kOutputs];  // or floats
  };

  // Adds the products of the groups of a tile: rows from codes[0] and codes[1] on, times panels.
  template <int32_t kTiles, int32_t kPanels>
  INLINE static void add_groups(const int8_t* const (&codes)[kTiles], int64_t stride,
                                const uint8_t* panels, int64_t panel_bytes) {
    _tile_loadd(4, codes[0], stride);
    _tile_loadd(6, panels, kOutputs * 4);
    if constexpr (kIsFloat) {
      _tile_dpbf16ps(0, 4, 6);
    } else {
      _tile_dpbsud(0, 4, 6);
    }
    if constexpr (kPanels > 1) {
      _tile_loadd(7, panels + panel_bytes, kOutputs * 4);
      if constexpr (kIsFloat) {
        _tile_dpbf16ps(1, 4, 7);
      } else {
        _tile_dpbsud(1, 4, 7);
      }
    }
    if constexpr (kTiles > 1) {
      _tile_loadd(5, codes[1], stride);
      if constexpr (kIsFloat) {
        _tile_dpbf16ps(2, 5, 6);
      } else {
        _tile_dpbsud(2, 5, 6);
      }
      if constexpr (kPanels > 1 && kIsFloat) {
        _tile_dpbf16ps(3, 5, 7);
      } else if constexpr (kPanels > 1) {
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

  // Multiplies kTiles * height / kPlanes rows from row `row` on by kPanels panels. The first
  // `skipped` rows are not added to c: another block has them.
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
    const int32_t most = kIsFloat ? p.x.groups : kPieceGroups;
    for (int32_t begin = 0, piece = 0; begin < p.x.groups; begin += most, ++piece) {
      const int32_t rest = p.x.groups - begin;
      const int32_t groups = rest < most ? rest : most;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int32_t g = 0; g + kTileGroups <= groups; g += kTileGroups) {
        for (int32_t v = 0; v < kPanels && fetches; ++v) {
          for (int32_t line = 0; line < kTileBytes; line += 64) {
            prefetch<false>(panels + (kPanels + v) * panel_bytes + line);
          }
        }
        add_groups<kTiles, kPanels>(codes, stride, panels, panel_bytes);
        panels += kTileBytes;
        for (int32_t t = 0; t < kTiles; ++t) {
          codes[t] += kOutputs * 4;
        }
      }
      if (groups % kTileGroups != 0) {
        // Nothing is read beyond the last group, whose missing codes are 0.
        alignas(64) uint8_t last[kPanels][kTileBytes] = {};
        for (int32_t v = 0; v < kPanels; ++v) {
          std::memcpy(last[v], panels + v * panel_bytes, std::size_t{kGroupBytes});
        }
        publish(last);
        add_groups<kTiles, kPanels>(codes, stride, last[0], kTileBytes);
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
    for (int32_t r = skipped; r < kTiles * height / kPlanes; ++r) {
      if constexpr (kIsFloat) {
        UNROLL
        for (int32_t v = 0; v < kPanels; ++v) {
          const void* const sum = sums.all[r / kTileRows][v] + r % kTileRows * kOutputs;
          const floats total[1] = {_mm512_load_ps(sum)};
          add_totals(p, row + r, 1, output + v * kOutputs, total);
        }
        continue;
      }
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

  // Multiplies a block of rows: as many as kTiles tiles hold, the last ones of them if fewer are
  // left.
  template <int32_t kTiles, int32_t kPanels>
  INLINE void multiply_block(int32_t row, int32_t output) const {
    const int32_t rows = kTiles * height / kPlanes;
    const int32_t begin = p.count - row < rows ? p.count - rows : row;
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
    configure(height);
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

void round_row(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  kAvx512Vnni.round_row(x, n, to, r);
}

// AVX-512 is as fast or faster for fewer rows.
constexpr int32_t least_rows(row_format format) {
  return format == row_format::bfloat16 ? 3 : format == row_format::two_bytes ? 4 : 9;
}

void multiply_by_tiles(weight_type type, const panel_product& product) {
  const row_format format = product.x.format;
  if (format == row_format::groups || product.count < least_rows(format) ||
      !follow_each_other(product.read, product.count)) {
    kAvx512Vnni.multiply(type, product);
  } else if (format == row_format::bfloat16) {
    amx_tile<row_format::bfloat16>(product).run();
  } else if (format == row_format::one_byte) {
    amx_tile<row_format::one_byte>(product).run();
  } else {
    amx_tile<row_format::two_bytes>(product).run();
  }
}

// Rows of small codes or integers, in their own memory.
template <int32_t kCount, int32_t kGroups>
struct some_rows {
  alignas(4) uint8_t memory[kCount * (2 * 192 + 64)];
  float x[kGroups * kInputs];
  rounded_rows rows;

  explicit some_rows(row_format format) : rows(rows_at(memory, format, kCount, kGroups)) {
    static_assert(rounded_bytes(row_format::two_bytes, kCount, kGroups) <= sizeof(memory));
    for (int32_t r = 0; r < kCount; ++r) {
      for (int32_t i = 0; i < kGroups * kInputs; ++i) {
        x[i] = static_cast<float>((r * 31 + i) * 89 % 255 - 127) /
               (format == row_format::bfloat16 ? 1.0f : static_cast<float>(3 + r));
      }
      round_row(x, kGroups * kInputs, rows, r);
    }
  }
};

// Returns whether tiles give the same bits as VNNI, on some numbers.
bool are_exact(row_format format) {
  constexpr int32_t kGroups = 3, kCount = 2 * kTileRows + 8;
  constexpr int32_t kBytes = 2 * kGroups * group_bytes(weight_type::bfloat16);
  const bool is_float = format == row_format::bfloat16;
  const weight_type type = is_float ? weight_type::bfloat16 : weight_type::int8;
  const some_rows<kCount, kGroups> x(format);
  float output_scales[2 * kOutputs];
  int32_t read[kCount], rows[kCount];
  uint8_t panels[kBytes];
  float by_tiles[kCount][2 * kOutputs] = {}, expected[kCount][2 * kOutputs] = {};
  for (int32_t r = 0; r < kCount; ++r) {
    read[r] = r;
    rows[r] = (r * 7 + 3) % kCount;
  }
  for (int32_t q = 0; q < 2 * kOutputs; ++q) {
    output_scales[q] = 1.0f / static_cast<float>(2 + q);
  }
  for (int32_t i = 0; i < kBytes; ++i) {
    panels[i] = static_cast<uint8_t>(i * 59);
  }
  for (int32_t i = 0; i < kBytes && is_float; i += 2) {  // powers of two, whose products are exact
    panels[i] = 0;
    panels[i + 1] = static_cast<uint8_t>(0x3f + i % 5 / 3 + i / 7 % 2 * 0x80);
  }
  panel_product product = {panels, output_scales, 0,      2 * kOutputs, x.rows,      read,
                           rows,   rows,          kCount, by_tiles[0],  2 * kOutputs};
  multiply_by_tiles(type, product);
  product.c = expected[0];
  kAvx512Vnni.multiply(type, product);
  return std::memcmp(by_tiles, expected, sizeof(expected)) == 0;
}

bool tiles_are_exact() {
  return are_exact(row_format::one_byte) && are_exact(row_format::two_bytes) &&
         are_exact(row_format::bfloat16);
}

}  // namespace
