// SPDX-License-Identifier: Apache-2.0
#include "blas_products.h"

#include <cblas.h>

#include <cstring>

namespace blocksparse {
namespace {

// Rows gathered for one product. They are enough to amortize OpenBLAS's packing of the block, and
// few enough to stay in the cache: 128 rows of 512 elements are 256 KB.
constexpr int64_t kGatheredRows = 128;

// Scratch memory beyond blas_scratch() is not used, so that bits do not depend on its length.
int32_t rows_per_product(int64_t scratch_length, int32_t size1, int32_t size2) {
  const int64_t fitting = scratch_length / (int64_t{size1} + size2);
  return static_cast<int32_t>(fitting < kGatheredRows ? fitting : kGatheredRows);
}

// Rows in the form that BLAS accepts.
struct blas_rows {
  const float* data;
  int32_t ld;
};

// Returns whether BLAS can read the rows in place.
template <typename List>
bool lies_regular(const List& rows, int64_t ld) {
  const int64_t stride = constant_stride(rows);
  return stride != 0 && is_blas_size(ld) && is_blas_size(stride * ld);
}

blas_rows in_place(indices rows, const float* data, int64_t ld) {
  return {data + rows[0] * ld, static_cast<int32_t>(constant_stride(rows) * ld)};
}

blas_rows gather(indices rows, const float* data, int64_t ld, int32_t size, float* to) {
  for (int32_t i = 0; i < rows.count; ++i) {
    std::memcpy(to + int64_t{i} * size, data + rows[i] * ld,
                static_cast<std::size_t>(size) * sizeof(float));
  }
  return {to, size};
}

void scatter_add(const float* from, int32_t size, const written_rows& rows, float* data,
                 int64_t ld) {
  for (int32_t i = 0; i < rows.count; ++i) {
    const float* const source = from + int64_t{i} * size;
    float* const row = data + rows[i] * ld;
    for (int32_t q = 0; q < size; ++q) {
      row[q] += source[q];
    }
  }
}

int32_t part_count(int64_t begin, int32_t most, int32_t count) {
  const int32_t left = static_cast<int32_t>(count - begin);
  return left < most ? left : most;
}

indices part(indices list, int64_t begin, int32_t most) {
  return {list.data + begin, part_count(begin, most, list.count)};
}

written_rows part(written_rows list, int64_t begin, int32_t most) {
  return {list.rows, list.position + begin, part_count(begin, most, list.count)};
}

}  // namespace

int64_t blas_scratch(int32_t size1, int32_t size2) {
  return kGatheredRows * (int64_t{size1} + size2);
}

void blas_gemm::multiply(indices read, written_rows write) const {
  const bool read_regular = lies_regular(read, lda);
  const bool write_regular = lies_regular(write, ldc);
  const int32_t most =
      read_regular && write_regular ? read.count : rows_per_product(scratch_length, k, n);
  for (int64_t i = 0; i < read.count; i += most) {
    const indices from = part(read, i, most);
    const written_rows to = part(write, i, most);
    const blas_rows rows = read_regular ? in_place(from, a, lda) : gather(from, a, lda, k, scratch);
    float* const product = write_regular ? c + to[0] * ldc : scratch + int64_t{from.count} * k;
    const int64_t ld_product = write_regular ? constant_stride(to) * ldc : n;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, w_transposed ? CblasTrans : CblasNoTrans, from.count,
                n, k, 1.0f, rows.data, rows.ld, w, static_cast<int32_t>(ldw),
                write_regular ? 1.0f : 0.0f, product, static_cast<int32_t>(ld_product));
    if (!write_regular) {
      scatter_add(product, n, to, c, ldc);
    }
  }
}

void blas_outer::multiply(indices x_rows, indices y_rows) const {
  const bool x_regular = lies_regular(x_rows, ldx);
  const bool y_regular = lies_regular(y_rows, ldy);
  // OpenBLAS rounds a sum by the number of rows that it is given: rows in place come in the same
  // numbers as gathered ones.
  const int32_t most = x_regular && y_regular ? static_cast<int32_t>(kGatheredRows)
                                              : rows_per_product(scratch_length, m, n);
  for (int64_t i = 0; i < x_rows.count; i += most) {
    const indices x_part = part(x_rows, i, most);
    const indices y_part = part(y_rows, i, most);
    const blas_rows xs = x_regular ? in_place(x_part, x, ldx) : gather(x_part, x, ldx, m, scratch);
    const blas_rows ys = y_regular ? in_place(y_part, y, ldy)
                                   : gather(y_part, y, ldy, n, scratch + int64_t{most} * m);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, x_part.count, alpha, xs.data, xs.ld,
                ys.data, ys.ld, accumulate || i > 0 ? 1.0f : 0.0f, o, static_cast<int32_t>(ldo));
  }
}

}  // namespace blocksparse
