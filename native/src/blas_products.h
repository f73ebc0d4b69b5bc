// SPDX-License-Identifier: Apache-2.0
//
// Products by cblas_sgemm on the calling thread; tiles_or_blas.h chooses them. Rows that lie a
// constant distance apart are given to BLAS where they lie; others are gathered into the scratch
// memory of the caller.
//
// OpenBLAS returns at once, without a look at beta, when a size is 0, and it takes 32-bit sizes:
// callers of this file pass no empty product, and sizes that is_blas_size() accepts. They hold a
// blas_permit that was granted.
#ifndef BLOCKSPARSE_SRC_BLAS_PRODUCTS_H
#define BLOCKSPARSE_SRC_BLAS_PRODUCTS_H

#include <cstdint>

#include "schedule.h"

namespace blocksparse {

// Elements of scratch memory that the products below use at most, for rows of the two sizes given.
int64_t blas_scratch(int32_t size1, int32_t size2);

inline bool is_blas_size(int64_t size) { return size <= INT32_MAX; }

// c[write[i]] += a[read[i]] * w for all i, w being k x n.
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

// o += alpha * sum over i of x[x_rows[i]]^T * y[y_rows[i]], o being m x n and alpha not 0.
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
