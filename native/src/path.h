// SPDX-License-Identifier: Apache-2.0
//
// The one place where the path of a product is chosen.
#ifndef BLOCKSPARSE_SRC_PATH_H
#define BLOCKSPARSE_SRC_PATH_H

#include <cstdint>

#include "blocksparse/blocksparse.h"

namespace blocksparse {

inline bool is_path(int32_t path) {
  return BLOCKSPARSE_PATH_AUTO <= path && path <= BLOCKSPARSE_PATH_TILE;
}

// Tiles where they know the instruction set: OpenBLAS packs each block before it multiplies, and a
// chunk has 128 rows at most to make up for that. On AVX-512 that is the faster choice in most cases
// measured but not in all, see native/README.md; the other instruction sets were not measured.
inline bool is_for_blas(int32_t path, int32_t isa) {
  return path == BLOCKSPARSE_PATH_BLAS ||
         (path == BLOCKSPARSE_PATH_AUTO && isa == BLOCKSPARSE_PORTABLE);
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_PATH_H
