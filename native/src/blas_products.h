// SPDX-License-Identifier: Apache-2.0
// Products by cblas_sgemm on the calling thread; tiles_or_blas.h chooses them. Rows at a constant
// distance are passed to BLAS in place; others are gathered into the caller's scratch memory.
// OpenBLAS returns at once, ignoring beta, when a size is 0, and it takes 32-bit sizes: callers
// pass no empty product, and only sizes that is_blas_size() accepts. They hold a granted
// blas_permit.
#ifndef BLOCKSPARSE_SRC_BLAS_PRODUCTS_H
#define BLOCKSPARSE_SRC_BLAS_PRODUCTS_H

#include <cstdint>

#include "schedule.h"

namespace blocksparse {

// Returns the elements of scratch memory that the products below use at most, for rows of the two
// given sizes.
int64_t blas_scratch(int32_t size1, int32_t size2);

inline bool is_blas_size(int64_t size) { return size <= INT32_MAX; }

// c[write[i]] += a[read[i]] * w for all i, where w is k x n.
struct blas_gemm {
  int32_t k, n;
  const float* a;
  int64_t lda;
  const float* w;
  int64_t ldw;
  bool w_transposed;  // w is stored as n x k
  float* c;
  int64_t ldc;
  float* scratch;
  int64_t scratch_length;

  void multiply(indices read, written_rows write) const;
};

// o += alpha * sum over i of x[x_rows[i]]^T * y[y_rows[i]], where o is m x n and alpha is not 0.
struct blas_outer {
  int32_t m, n;
  float alpha;
  const float* x;
  int64_t ldx;
  const float* y;
  int64_t ldy;
  bool accumulate;  // false: o is only written
  float* o;
  int64_t ldo;
  float* scratch;
  int64_t scratch_length;

  void multiply(indices x_rows, indices y_rows) const;
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_BLAS_PRODUCTS_H
