// SPDX-License-Identifier: Apache-2.0
//
// Rows of int8 times packed panels by the tiles of AMX: 16 rows times a group of a panel at once,
// whose sums are scaled and added as kernel.inl does. Few rows are left to AVX-512 VNNI.
//
// A test includes this with the instructions replaced by functions.
#include <initializer_list>

#include "kernels/amx_registers.h"
#define BLOCKSPARSE_BYTES "packed/bytes_avx512vnni.h"
#include "packed/kernel.inl"

namespace {

constexpr int32_t kTileRows = 16;

// Fewer take about as long without tiles, which are always whole.
constexpr int32_t kLeastRows = 8;

// Groups whose codes are copied before they are multiplied.
constexpr int32_t kPieceGroups = 16;

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
struct amx_tile {
  const panel_product& p;

  // `count` rows from row `row` on times the panel from output `output` on.
  void multiply(int32_t row, int32_t count, int32_t output) const {
    alignas(64) int8_t x[kPieceGroups][kTileRows][kInputs];
    alignas(64) int32_t begins[kPieceGroups][kTileRows];
    alignas(64) float scales[kPieceGroups][kTileRows];
    alignas(64) uint8_t unpacked[kPieceGroups][kOutputs * kInputs];
    alignas(64) int32_t sums[2][kTileRows * kOutputs];
    const int32_t groups = p.x.groups;
    const uint8_t* const panel =
        p.panels + int64_t{output / kOutputs} * groups * group_bytes(kType);
    floats totals[kTileRows];
    UNROLL
    for (int32_t r = 0; r < kTileRows; ++r) {
      totals[r] = set_float(0.0f);
    }
    for (int32_t begin = 0; begin < groups; begin += kPieceGroups) {
      const int32_t steps = groups - begin < kPieceGroups ? groups - begin : kPieceGroups;
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
    add_totals<kType>(p, row, count, output, totals);
  }

  INLINE static void add_group(const uint8_t* group, const int32_t* sums, const int32_t* begins,
                               const float* scales, floats* totals) {
    floats of_group = set_float(1.0f);
    if constexpr (kType != weight_type::int8) {
      of_group = load_scales<kType>(group);
    }
    UNROLL
    for (int32_t r = 0; r < kTileRows; ++r) {
      const ints sum = add_ints(_mm512_load_si512(sums + r * kOutputs), set_int(begins[r]));
      floats scale = set_float(scales[r]);
      if constexpr (kType != weight_type::int8) {
        scale = mul(scale, of_group);
      }
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

void multiply_by_tiles(weight_type type, const panel_product& product) {
  const int32_t rest = product.count % kTileRows;
  const int32_t rows = rest < kLeastRows ? product.count - rest : product.count;
  if (rows > 0) {
    switch (type) {
      case weight_type::int8:
        amx_tile<weight_type::int8>{product}.run(rows);
        break;
      case weight_type::q8_0:
        amx_tile<weight_type::q8_0>{product}.run(rows);
        break;
      case weight_type::q4_0:
        amx_tile<weight_type::q4_0>{product}.run(rows);
        break;
      case weight_type::mxfp4:
        amx_tile<weight_type::mxfp4>{product}.run(rows);
        break;
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

// Whether tiles give the bits that VNNI gives, on some numbers of each type.
bool tiles_are_exact() {
  constexpr int32_t kGroups = 3, kCount = kTileRows + kLeastRows;
  constexpr int32_t kMostBytes = 2 * kGroups * group_bytes(weight_type::q8_0);
  int8_t codes[kCount * kGroups * kInputs];
  float scales[kCount * kGroups], output_scales[2 * kOutputs];
  int32_t sums[kCount * kGroups] = {}, rows[kCount];
  uint8_t panels[kMostBytes];
  float by_tiles[kCount][2 * kOutputs] = {}, expected[kCount][2 * kOutputs] = {};
  for (int32_t i = 0; i < kCount * kGroups * kInputs; ++i) {
    codes[i] = static_cast<int8_t>(i * 89 % 255 - 127);
    sums[i / kInputs] -= codes[i];
    scales[i / kInputs] = 1.0f / static_cast<float>(3 + i / kInputs);
  }
  for (int32_t r = 0; r < kCount; ++r) {
    rows[r] = (r * 5 + 3) % kCount;
  }
  for (int32_t q = 0; q < 2 * kOutputs; ++q) {
    output_scales[q] = 1.0f / static_cast<float>(2 + q);
  }
  for (const weight_type type :
       {weight_type::int8, weight_type::q8_0, weight_type::q4_0, weight_type::mxfp4}) {
    for (int32_t i = 0; i < kMostBytes; ++i) {
      const bool scale = i % group_bytes(type) < scale_bytes(type);
      panels[i] = static_cast<uint8_t>(scale ? 0x2c + i % 3 : i * 59);
    }
    panel_product product = {
        panels,      output_scales, 0,    2 * kOutputs, {kGroups, codes, scales, sums},
        rows,        rows,          rows, kCount,       by_tiles[0],
        2 * kOutputs};
    multiply_by_tiles(type, product);
    product.c = expected[0];
    multiply(type, product);
  }
  return std::memcmp(by_tiles, expected, sizeof(expected)) == 0;
}

}  // namespace
