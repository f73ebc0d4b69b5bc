// SPDX-License-Identifier: Apache-2.0
#include "choose_path.h"

#include "blas_products.h"
#include "blocksparse/blocksparse.h"

namespace blocksparse {
namespace {

// Portable tiles lack most registers of the processor, which OpenBLAS has kernels for; but
// OpenBLAS packs each block before it multiplies, and a few rows do not make up for that. Outer
// products need no packing worth mentioning.
constexpr int32_t kFewRowsForPortable = 12;

// Where tiles know the instruction set they are as fast as BLAS even where packing pays.
bool auto_goes_to_blas(int32_t isa, operation what, int32_t rows) {
  return isa == BLOCKSPARSE_PORTABLE && (what == operation::outer || rows > kFewRowsForPortable);
}

}  // namespace

bool is_path(int32_t path) {
  return BLOCKSPARSE_PATH_AUTO <= path && path <= BLOCKSPARSE_PATH_TILE;
}

bool goes_to_blas(int32_t path, int32_t isa, operation what, int32_t rows, int32_t, int32_t) {
  return path == BLOCKSPARSE_PATH_BLAS ||
         (path == BLOCKSPARSE_PATH_AUTO && auto_goes_to_blas(isa, what, rows));
}

bool may_go_to_blas(int32_t path, int32_t isa, int32_t, int32_t) {
  return path == BLOCKSPARSE_PATH_BLAS ||
         (path == BLOCKSPARSE_PATH_AUTO && isa == BLOCKSPARSE_PORTABLE);
}

}  // namespace blocksparse

int32_t blocksparse_may_use_blas(int32_t isa, int32_t path) {
  return blocksparse::may_go_to_blas(path, isa, INT32_MAX, INT32_MAX) ? 1 : 0;
}

int64_t blocksparse_scratch_f32(int32_t isa, int32_t path, int32_t size1, int32_t size2) {
  using namespace blocksparse;
  return may_go_to_blas(path, isa, size1, size2)
             ? blas_scratch(size1 < 0 ? 0 : size1, size2 < 0 ? 0 : size2)
             : 0;
}
