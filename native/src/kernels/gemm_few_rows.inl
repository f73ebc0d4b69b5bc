// SPDX-License-Identifier: Apache-2.0
// Products with so few rows that reading W takes most of the time. See all_kernels.inl. A tile
// reads a few lines of each row of W. Here several rows of W at a time are read from end to end and
// added to sums that stay in the first-level cache. Each element of c is the same chain of
// multiply-adds as in a tile.

namespace {

constexpr int32_t kFewRows = 3;

// The least columns of a wide block; in narrower blocks, tiles read whole rows soon enough.
template <typename Element>
constexpr int32_t kColumnsOfWideBlock = std::is_same_v<Element, float> ? 256 : 640;

// Rows of W at a time: their factors stay in registers.
template <int32_t Rows>
constexpr int32_t kRowsOfW = kTileVectors >= 4 || Rows == 1 ? 8 : 4;

// Columns whose sums and rows of W fit in the first-level cache.
constexpr int32_t kColumnsOfFewRows = 2048;

// Adds columns [column, column + width) of rows [p, p + Steps) of W, which begin at `w`. `next` is
// read next, and is prefetched.
template <typename Element, int32_t Rows, int32_t Steps>
INLINE void add_rows_of_w(const gemm_work& work, int32_t p, int32_t column, int32_t width,
                          const block_of<Element>& w, const block_of<Element>& next) {
  constexpr int32_t kLineElements = kLineBytes / static_cast<int32_t>(sizeof(Element));
  const bool with_bias = p == 0 && work.begin == sums_begin::with_bias;
  const bool with_zero = p == 0 && work.begin == sums_begin::with_zero;
  const float* from[Rows];
  float* to[Rows];
  vec factors[Rows][Steps];
  UNROLL
  for (int32_t r = 0; r < Rows; ++r) {
    to[r] = work.tiles->c[r] + column;
    from[r] = with_bias ? work.bias + column : to[r];
    UNROLL
    for (int32_t s = 0; s < Steps; ++s) {
      factors[r][s] = set1(work.tiles->a[r][p + s]);
    }
  }
  for_each_vector(width, [&](int64_t q, auto part) {
    vec sum[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      sum[r] = with_zero ? set1(0.0f) : load(from[r] + q, part);
    }
    UNROLL
    for (int32_t s = 0; s < Steps; ++s) {
      if (q % kLineElements == 0) {
        __builtin_prefetch(next.data + s * next.ld + q, 0, 2);
      }
      const vec row = w.widened(w.data + s * w.ld + q, q, part);
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        sum[r] = fma(factors[r][s], row, sum[r]);
      }
    }
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      store(to[r] + q, sum[r], part);
    }
  });
}

template <typename Element, int32_t Rows>
void multiply_few_rows(const gemm_work& work) {
  constexpr int32_t kSteps = kRowsOfW<Rows>;
  const block_of<Element> whole(work.w);
  const block_of<Element> next_block(work.next);
  for (int32_t column = 0, width = 0; column < work.columns; column += width) {
    width = least(work.columns - column, kColumnsOfFewRows);
    int32_t p = 0;
    for (; p <= work.k - kSteps; p += kSteps) {
      const block_of<Element> w = whole.from(p, column);
      const bool ends = p + kSteps >= work.k;
      const block_of<Element> next = !ends                           ? w.from(kSteps, 0)
                                     : column + width < work.columns ? whole.from(0, column + width)
                                     : next_block.data != nullptr    ? next_block
                                                                     : w;
      add_rows_of_w<Element, Rows, kSteps>(work, p, column, width, w, next);
    }
    for (; p < work.k; ++p) {
      const block_of<Element> w = whole.from(p, column);
      add_rows_of_w<Element, Rows, 1>(work, p, column, width, w, w);
    }
  }
}

template <typename Element>
void multiply_few_rows(const gemm_work& work) {
  switch (work.tiles->rows) {
    case 1:
      return multiply_few_rows<Element, 1>(work);
    case 2:
      return multiply_few_rows<Element, 2>(work);
    default:
      return multiply_few_rows<Element, 3>(work);
  }
}

}  // namespace
