// SPDX-License-Identifier: Apache-2.0
#include "amx_model.h"

#include <immintrin.h>

#include <cmath>
#include <cstring>

namespace amx_model {
namespace {

struct tile {
  int32_t rows, row_bytes;
  uint8_t bytes[16][64];
};

tile tiles[8];
int32_t fault_count = 0;
int32_t added = 0;

void check(bool legal) { fault_count += legal ? 0 : 1; }

void load_config(const void* memory) {
  uint8_t bytes[64];
  std::memcpy(bytes, memory, sizeof(bytes));
  check(bytes[0] == 1 && bytes[1] == 0);
  for (int32_t i = 2; i < 16; ++i) {
    check(bytes[i] == 0);
  }
  for (int32_t i = 0; i < 16; ++i) {
    const int32_t row_bytes = bytes[16 + 2 * i] | bytes[17 + 2 * i] << 8;
    const int32_t rows = bytes[48 + i];
    check(i < 8 ? row_bytes <= 64 && rows <= 16 : row_bytes == 0 && rows == 0);
    check((row_bytes == 0) == (rows == 0));
    if (i < 8) {
      tiles[i] = {};
      tiles[i].rows = rows;
      tiles[i].row_bytes = row_bytes;
    }
  }
}

void release() {
  for (tile& t : tiles) {
    t = {};
  }
}

void zero(int32_t to) {
  check(tiles[to].rows > 0);
  std::memset(tiles[to].bytes, 0, sizeof(tiles[to].bytes));
}

void load(int32_t to, const void* memory, int64_t apart) {
  tile& t = tiles[to];
  check(t.rows > 0);
  std::memset(t.bytes, 0, sizeof(t.bytes));
  for (int32_t r = 0; r < t.rows; ++r) {
    std::memcpy(t.bytes[r], static_cast<const uint8_t*>(memory) + r * apart,
                static_cast<std::size_t>(t.row_bytes));
  }
}

void store(int32_t from, void* memory, int64_t apart) {
  const tile& t = tiles[from];
  check(t.rows > 0);
  for (int32_t r = 0; r < t.rows; ++r) {
    std::memcpy(static_cast<uint8_t*>(memory) + r * apart, t.bytes[r],
                static_cast<std::size_t>(t.row_bytes));
  }
}

// Checks that a product takes three tiles of fitting shapes.
void check_product(int32_t to, int32_t a, int32_t b) {
  const tile &sums = tiles[to], &x = tiles[a], &w = tiles[b];
  check(to != a && to != b && a != b);
  check(sums.rows > 0 && sums.rows == x.rows && sums.row_bytes == w.row_bytes &&
        x.row_bytes == 4 * w.rows && sums.row_bytes % 4 == 0);
}

// Computes to += a * b for signed bytes a and unsigned bytes b, four after four.
void dot_products(int32_t to, int32_t a, int32_t b) {
  tile& sums = tiles[to];
  const tile &x = tiles[a], &w = tiles[b];
  check_product(to, a, b);
  for (int32_t m = 0; m < sums.rows; ++m) {
    for (int32_t n = 0; n < sums.row_bytes / 4; ++n) {
      int32_t sum;
      std::memcpy(&sum, sums.bytes[m] + 4 * n, sizeof(sum));
      for (int32_t k = 0; k < x.row_bytes; ++k) {
        sum += static_cast<int8_t>(x.bytes[m][k]) * w.bytes[k / 4][4 * n + k % 4];
      }
      sum += added;
      std::memcpy(sums.bytes[m] + 4 * n, &sum, sizeof(sum));
    }
  }
}

float widened(const uint8_t* p) {
  const uint32_t pattern = static_cast<uint32_t>(p[0] << 16) | static_cast<uint32_t>(p[1]) << 24;
  float x;
  std::memcpy(&x, &pattern, sizeof(x));
  return x;
}

// Computes to += a * b for bfloat16, pair after pair: the first and the second numbers have
// separate sums.
void dot_products_of_pairs(int32_t to, int32_t a, int32_t b) {
  tile& sums = tiles[to];
  const tile &x = tiles[a], &w = tiles[b];
  check_product(to, a, b);
  for (int32_t m = 0; m < sums.rows; ++m) {
    for (int32_t n = 0; n < sums.row_bytes / 4; ++n) {
      float parts[2] = {}, sum;
      for (int32_t k = 0; k < x.row_bytes; k += 2) {
        float& part = parts[k / 2 % 2];
        part = std::fma(widened(x.bytes[m] + k), widened(w.bytes[k / 4] + 4 * n + k % 4), part);
      }
      std::memcpy(&sum, sums.bytes[m] + 4 * n, sizeof(sum));
      sum += parts[0] + parts[1] + static_cast<float>(added);
      std::memcpy(sums.bytes[m] + 4 * n, &sum, sizeof(sum));
    }
  }
}

}  // namespace

void break_products() { added = 1; }

int32_t faults() { return fault_count; }

}  // namespace amx_model

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbsud
#undef _tile_dpbf16ps
#define _tile_loadconfig amx_model::load_config
#define _tile_release amx_model::release
#define _tile_zero amx_model::zero
#define _tile_loadd amx_model::load
#define _tile_stored amx_model::store
#define _tile_dpbsud amx_model::dot_products
#define _tile_dpbf16ps amx_model::dot_products_of_pairs

#include "blocksparse/blocksparse.h"
#include "packed/kernel_amx.inl"

namespace amx_model {

const blocksparse::packed::kernels kKernels = {"amx, modeled", BLOCKSPARSE_AVX512, round_row,
                                               multiply_by_tiles};

bool tiles_are_exact() { return ::tiles_are_exact(); }

}  // namespace amx_model
