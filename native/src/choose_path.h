// SPDX-License-Identifier: Apache-2.0
//
// The one place where the path of a product is chosen.
#ifndef BLOCKSPARSE_SRC_CHOOSE_PATH_H
#define BLOCKSPARSE_SRC_CHOOSE_PATH_H

#include <cstdint>

#include "blocksparse/blocksparse.h"

namespace blocksparse {

inline bool is_path(int32_t path) {
  return BLOCKSPARSE_PATH_AUTO <= path && path <= BLOCKSPARSE_PATH_TILE;
}

// Of the product of so many rows with a block. Tiles where they know the instruction set: OpenBLAS
// packs each block before it multiplies, and native/README.md shows that tiles are as fast even
// where that pays. Portable tiles lack most registers of the processor, which OpenBLAS has kernels
// for; but a few rows do not make up for packing.
inline bool is_gemm_for_blas(int32_t path, int32_t isa, int32_t rows) {
  constexpr int32_t kFewRows = 12;
  return path == BLOCKSPARSE_PATH_BLAS ||
         (path == BLOCKSPARSE_PATH_AUTO && isa == BLOCKSPARSE_PORTABLE && rows > kFewRows);
}

// Of a sum of outer products. OpenBLAS needs no packing worth mentioning for few pairs.
inline bool is_outer_for_blas(int32_t path, int32_t isa) {
  return path == BLOCKSPARSE_PATH_BLAS ||
         (path == BLOCKSPARSE_PATH_AUTO && isa == BLOCKSPARSE_PORTABLE);
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_CHOOSE_PATH_H
