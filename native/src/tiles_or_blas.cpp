// SPDX-License-Identifier: Apache-2.0
#include "tiles_or_blas.h"

#include <array>
#include <cstdio>
#include <initializer_list>

#include "blas_products.h"
#include "blocksparse/blocksparse.h"
#include "kernels/kernel_table.h"

namespace blocksparse {
namespace {

// AVX2 tiles are narrow: for a large block, a sum of many outer products reads its rows again for
// every few columns.
constexpr int32_t kLargeSide = 512;
constexpr int64_t kLargeBlock = int64_t{kLargeSide} * kLargeSide;
constexpr int32_t kManyPairs = 32;

// OpenBLAS has kernels of its own for small products on AVX-512. Our tiles are as fast or faster
// while there are few outer products to a block, and in the smallest blocks.
constexpr int32_t kMiddleSide = 128;
constexpr int64_t kMiddleBlock = int64_t{kMiddleSide} * kMiddleSide;
constexpr int32_t kSmallestSide = 32;
constexpr int64_t kSmallestBlock = int64_t{kSmallestSide} * kSmallestSide;
constexpr int32_t kSomePairs = 16;

// Portable tiles run where AVX2 is missing. There, OpenBLAS's kernels for AVX are 1.2 to 2.7 times
// as fast from these rows on, and those for SSE take 0.6 to 1.3 times as long as the tiles. For
// fewer rows or smaller blocks, the possible loss exceeds the gain.
constexpr int32_t kManyRows = 64;

bool auto_goes_to_blas(int32_t isa, operation what, int32_t rows, int64_t block) {
  switch (isa) {
    case BLOCKSPARSE_PORTABLE:
      return block >= kMiddleBlock && rows >= (what == operation::outer ? kSomePairs : kManyRows);
    case BLOCKSPARSE_AVX2:
      return what == operation::outer && block >= kLargeBlock && rows >= kManyPairs;
    case BLOCKSPARSE_AVX512:
      return what == operation::outer && kSmallestBlock <= block && block <= kMiddleBlock &&
             rows >= kSomePairs;
    default:
      return false;
  }
}

constexpr const char* kAllOnTiles = "register tiles for all products";

using words = std::array<char, 160>;

template <typename... Numbers>
words say(const char* format, Numbers... numbers) {
  words text;
  std::snprintf(text.data(), text.size(), format, numbers...);
  return text;
}

// Returns the rule of auto_goes_to_blas(), in words.
const char* auto_words(int32_t isa) {
  switch (isa) {
    case BLOCKSPARSE_PORTABLE: {
      static const words text = say(
          "OpenBLAS for gradients of W with %d rows or more of a block of %d x %d or more, other "
          "products with %d rows or more of one, register tiles for the rest",
          kSomePairs, kMiddleSide, kMiddleSide, kManyRows);
      return text.data();
    }
    case BLOCKSPARSE_AVX2: {
      static const words text =
          say("OpenBLAS for gradients of W with %d rows or more of a block of %d x %d or more, "
              "register tiles for the rest",
              kManyPairs, kLargeSide, kLargeSide);
      return text.data();
    }
    case BLOCKSPARSE_AVX512: {
      static const words text =
          say("OpenBLAS for gradients of W with %d rows or more of a block of %d x %d to %d x %d, "
              "register tiles for the rest",
              kSomePairs, kSmallestSide, kSmallestSide, kMiddleSide, kMiddleSide);
      return text.data();
    }
    default:
      return kAllOnTiles;
  }
}

int64_t scratch(int32_t isa, int32_t path, operation what, int32_t size1, int32_t size2) {
  return may_go_to_blas(path, isa, what, size1, size2)
             ? blas_scratch(size1 < 0 ? 0 : size1, size2 < 0 ? 0 : size2)
             : 0;
}

}  // namespace

bool is_path(int32_t path) {
  return BLOCKSPARSE_PATH_AUTO <= path && path <= BLOCKSPARSE_PATH_TILE;
}

int32_t path_of(int32_t path, int32_t w_type) {
  return w_type == BLOCKSPARSE_FLOAT32 ? path : BLOCKSPARSE_PATH_TILE;
}

bool goes_to_blas(int32_t path, int32_t isa, operation what, int32_t rows, int32_t size1,
                  int32_t size2) {
  return path == BLOCKSPARSE_PATH_BLAS ||
         (path == BLOCKSPARSE_PATH_AUTO &&
          auto_goes_to_blas(isa, what, rows, int64_t{size1} * size2));
}

// If a product of these sizes goes to BLAS at all, then with many rows.
bool may_go_to_blas(int32_t path, int32_t isa, operation what, int32_t size1, int32_t size2) {
  return goes_to_blas(path, isa, what, INT32_MAX, size1, size2);
}

}  // namespace blocksparse

int32_t blocksparse_may_use_blas(int32_t isa, int32_t path) {
  using namespace blocksparse;
  for (const operation what : {operation::forward, operation::transposed, operation::outer}) {
    // These two sizes suffice: if any size goes to BLAS, one of them does.
    for (const int32_t size : {kMiddleSide, INT32_MAX}) {
      if (may_go_to_blas(path, isa, what, size, size)) {
        return 1;
      }
    }
  }
  return 0;
}

const char* blocksparse_path_words(int32_t isa, int32_t path) {
  using namespace blocksparse;
  switch (path) {
    case BLOCKSPARSE_PATH_AUTO:
      return auto_words(isa);
    case BLOCKSPARSE_PATH_BLAS:
      return "OpenBLAS for all products of float32 weights";
    default:
      return kAllOnTiles;
  }
}

int64_t blocksparse_gemm_scratch_f32(int32_t isa, int32_t path, int32_t w_type, int32_t k,
                                     int32_t n, int32_t w_transposed) {
  using namespace blocksparse;
  const operation what = w_transposed == 1 ? operation::transposed : operation::forward;
  return scratch(isa, path_of(path, w_type), what, k, n);
}

int64_t blocksparse_outer_scratch_f32(int32_t isa, int32_t path, int32_t m, int32_t n) {
  using namespace blocksparse;
  return scratch(isa, path, operation::outer, m, n);
}
