// SPDX-License-Identifier: Apache-2.0
// Gradients of a few rows, and a step of gradient descent for the block that they were multiplied
// by, in one pass. See all_kernels.inl. A tile takes some rows of W at a time, end to end: it adds
// their products with the rows of y as gemm_dot_kernel.inl does, then updates them as
// outer_pairs.inl does, with the same bits.

namespace {

// Rows of W at a time: as many as leave registers for their sums and factors, one of each for every
// pair.
constexpr int32_t descent_rows(int32_t pairs) {
  const int32_t rows = kTileRows * kTileVectors / 2 / pairs;
  return rows < 1 ? 1 : rows < kTileRows ? rows : kTileRows;
}

// The least vectors in a row of W for which the sums over lanes cost little.
constexpr int32_t kLeastDescentVectors = 4;

template <int32_t Pairs>
struct descent_tile {
  static constexpr int32_t kRows = descent_rows(Pairs);
  static constexpr int32_t kSums = Pairs * kRows;
  static constexpr int32_t kVectors = (kSums - 1) / kWidth + 1;  // vectors of results

  float* w[kRows];
  const float* next[kRows];
  vec factor[kSums];
  vec sum[kVectors * kWidth];

  template <typename Mask>
  INLINE void step(const descent_work& work, int64_t q, Mask part) {
    vec y[Pairs];
    UNROLL
    for (int32_t i = 0; i < Pairs; ++i) {
      y[i] = load(work.y[i] + q, part);
    }
    // All rows are loaded before one is stored: the last may be there more than once.
    vec before[kRows];
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      before[r] = load(w[r] + q, part);
      if (q % kLineFloats == 0) {
        __builtin_prefetch(next[r] + q, 0, 2);
      }
    }
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      vec gradient = set1(0.0f);
      UNROLL
      for (int32_t i = 0; i < Pairs; ++i) {
        vec& product = sum[i * kRows + r];
        product = fma(y[i], before[r], product);
        gradient = fma(factor[i * kRows + r], y[i], gradient);
      }
      store(w[r] + q, fma(set1(work.alpha), gradient, before[r]), part);
    }
  }

  // Processes rows [row, row + rows) of W.
  INLINE void run(const descent_work& work, int32_t row, int32_t rows) {
    UNROLL
    for (int32_t r = 0; r < kRows; ++r) {
      const int64_t at = row + least(r, rows - 1);
      w[r] = work.w + at * work.ldw;
      next[r] = work.next_w + at * work.ldw;
      UNROLL
      for (int32_t i = 0; i < Pairs; ++i) {
        factor[i * kRows + r] = set1(work.x[i][at]);
      }
    }
    UNROLL
    for (int32_t i = 0; i < kVectors * kWidth; ++i) {
      sum[i] = set1(0.0f);
    }
    int64_t q = 0;
    for (; q + kWidth <= work.n; q += kWidth) {
      step(work, q, all{});
    }
    if (q < work.n) {
      step(work, q, first(static_cast<int32_t>(work.n - q)));
    }
    float total[kVectors * kWidth];
    UNROLL
    for (int32_t v = 0; v < kVectors; ++v) {
      vec part[kWidth];
      UNROLL
      for (int32_t i = 0; i < kWidth; ++i) {
        part[i] = sum[v * kWidth + i];
      }
      store(total + v * kWidth, sums_of_lanes(part));
    }
    for (int32_t i = 0; i < Pairs; ++i) {
      float* const c = work.c[i] + row;
      for (int32_t r = 0; r < rows; ++r) {
        c[r] = (work.accumulate ? c[r] : 0.0f) + total[i * kRows + r];
      }
    }
  }

  static void run_all(const descent_work& work) {
    for (int32_t row = 0; row < work.m; row += kRows) {
      descent_tile tile;
      tile.run(work, row, least(work.m - row, kRows));
    }
  }
};

constexpr void (*kDescentTiles[kMostDescentPairs])(const descent_work&) = {
    descent_tile<1>::run_all, descent_tile<2>::run_all, descent_tile<3>::run_all,
    descent_tile<4>::run_all, descent_tile<5>::run_all, descent_tile<6>::run_all,
    descent_tile<7>::run_all, descent_tile<8>::run_all};

bool descend(const descent_work& work) {
  if (work.n < kLeastDescentVectors * kWidth || work.pairs > most_rows_for_dots(work.n)) {
    return false;
  }
  kDescentTiles[work.pairs - 1](work);
  return true;
}

}  // namespace
