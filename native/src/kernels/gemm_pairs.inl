// SPDX-License-Identifier: Apache-2.0
// Products of small blocks with few rows each, pair by pair: c += a * w. See all_kernels.inl.
// Choosing a tile for such a product takes longer than the product, mostly because no processor
// predicts a branch on the number of rows of a block. Here nothing is chosen between two pairs, so
// that several are computed at the same time, each of them a chain of additions with its own
// latency. Blocks are prefetched one or a few pairs ahead. Each element has the same bits as by the
// tiles, or by dot products.

namespace {

// Vectors of c that are summed side by side.
constexpr int32_t kPairVectors = 4;

// The largest block, in elements, that is prefetched kPairsAhead pairs early. Larger ones are
// prefetched one pair early: prefetched data must stay in the first-level cache until it is used.
constexpr int64_t kFarFetchedBlock = 1024;

template <int32_t Vectors, bool Partial>
struct pair_tile {
  // Computes the columns of c from `column` on.
  static void run(const gemm_pairs_work& work, int32_t column) {
    constexpr int32_t kLines = (Vectors * kWidth - 1) / kLineFloats + 1;
    const mask last = last_mask(work.columns - column);
    const int32_t ahead = int64_t{work.k} * work.columns <= kFarFetchedBlock ? kPairsAhead : 1;
    for (int32_t i = 0; i < work.count; ++i) {
      const row_and_block& pair = work.pairs[i];
      float* const c = pair.c + column;
      vec sum[Vectors];
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        sum[v] = load_part<Partial, Vectors>(c, v, last);
      }
      const float* w = pair.w + column;
      const float* fetch = work.pairs[i + ahead].w + column;
      for (int64_t p = 0; p < work.k; ++p) {
        const vec factor = set1(pair.a[p]);
        UNROLL
        for (int32_t line = 0; line < kLines; ++line) {
          __builtin_prefetch(fetch + line * kLineFloats, 0, 3);
        }
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[v] = fma(factor, load_part<Partial, Vectors>(w, v, last), sum[v]);
        }
        w += work.ldw;
        fetch += work.ldw;
      }
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        store_part<Partial, Vectors>(c, v, sum[v], last);
      }
    }
  }
};

using pair_function = void (*)(const gemm_pairs_work& work, int32_t column);

constexpr pair_function kPairTiles[2][kPairVectors] = {
    {pair_tile<1, false>::run, pair_tile<2, false>::run, pair_tile<3, false>::run,
     pair_tile<4, false>::run},
    {pair_tile<1, true>::run, pair_tile<2, true>::run, pair_tile<3, true>::run,
     pair_tile<4, true>::run}};

// Returns the dot products of `Columns` rows of a transposed W, from w on, with a, in the lanes of
// a vector; see dot_tile. Beyond the last row, the last row is read again.
template <int32_t Columns>
INLINE vec dots_of_rows(const float* a, const float* w, int64_t ldw, int64_t last, int32_t k,
                        mask part) {
  const float* row[Columns];
  vec sum[kWidth];
  UNROLL
  for (int32_t q = 0; q < kWidth; ++q) {
    sum[q] = set1(0.0f);
    if (q < Columns) {
      row[q] = w + (q < last ? q : last) * ldw;
    }
  }
  const auto step = [&](int64_t p, auto m) {
    const vec factors = load(a + p, m);
    UNROLL
    for (int32_t q = 0; q < Columns; ++q) {
      sum[q] = fma(factors, load(row[q] + p, m), sum[q]);
    }
  };
  int64_t p = 0;
  for (; p + kWidth <= k; p += kWidth) {
    step(p, all{});
  }
  if (p < k) {
    step(p, part);
  }
  return sums_of_lanes(sum);
}

// In most blocks, a row is a line or less.
template <int32_t Rows>
INLINE void fetch_rows(const float* w, int64_t ldw, int32_t k) {
  for (int32_t p = 0; p < k; p += kLineFloats) {
    UNROLL
    for (int32_t q = 0; q < Rows; ++q) {
      __builtin_prefetch(w + q * ldw + p, 0, 3);
    }
  }
}

void multiply_pairs_by_dots(const gemm_pairs_work& work) {
  const int32_t k = work.k;
  const int64_t ldw = work.ldw;
  const mask part = last_mask(k);
  for (int32_t i = 0; i < work.count; ++i) {
    const row_and_block& pair = work.pairs[i];
    const float* const fetch = work.pairs[i + kPairsAhead].w;
    int32_t column = 0;
    for (; column + kWidth <= work.columns; column += kWidth) {
      fetch_rows<kWidth>(fetch + column * ldw, ldw, k);
      float* const c = pair.c + column;
      const vec dots = dots_of_rows<kWidth>(pair.a, pair.w + column * ldw, ldw, kWidth, k, part);
      store(c, add(load(c), dots));
    }
    if (column < work.columns) {
      const int32_t width = work.columns - column;
      fetch_rows<kWidth>(fetch + column * ldw, ldw, k);
      float* const c = pair.c + column;
      const mask columns = first(width);
      const vec dots = dots_of_rows<kWidth>(pair.a, pair.w + column * ldw, ldw, width - 1, k, part);
      store(c, add(load(c, columns), dots), columns);
    }
  }
}

// Multiplies pairs by a W of a single row.
void multiply_pairs_by_dot(const gemm_pairs_work& work) {
  const mask part = last_mask(work.k);
  for (int32_t i = 0; i < work.count; ++i) {
    const row_and_block& pair = work.pairs[i];
    fetch_rows<1>(work.pairs[i + kPairsAhead].w, 0, work.k);
    float dots[kWidth];
    store(dots, dots_of_rows<1>(pair.a, pair.w, 0, 0, work.k, part));
    *pair.c += dots[0];
  }
}

void gemm_pairs(const gemm_pairs_work& work) {
  if (work.w_transposed) {
    return work.columns == 1 ? multiply_pairs_by_dot(work) : multiply_pairs_by_dots(work);
  }
  for (int32_t column = 0; column < work.columns; column += kPairVectors * kWidth) {
    const int32_t width = least(work.columns - column, kPairVectors * kWidth);
    kPairTiles[width % kWidth != 0 ? 1 : 0][(width - 1) / kWidth](work, column);
  }
}

}  // namespace
