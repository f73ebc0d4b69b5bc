// SPDX-License-Identifier: Apache-2.0
//
// A register tile of a product: the sums of up to kTileRows rows x kTileVectors vectors stay in
// registers while the tile walks down k. See all_kernels.inl.
//
// In each step it multiplies one element of each row, read through a pointer, by one row of W. Rows
// thus need no gathering and W no packing. Every element of c is one chain of fused multiply-adds
// in the order of k, so its bits do not depend on the tiles.

namespace {

template <typename Element>
struct gemm_tile_task {
  const row_tile* rows;
  int32_t k_begin, k_end;
  int32_t column;
  mask last;
  block_of<Element> w;  // from the first row and column that the tile uses on
  const float* begin;   // the initial sums of every row; NULL: c
  const char* fetch;    // prefetched in the first step
  int64_t fetch_step;   // and this many bytes further in each step
};

// Each step prefetches 2^FetchLog cache lines.
template <typename Element, int32_t Rows, int32_t Vectors, bool Partial, int32_t FetchLog>
struct gemm_tile {
  static void run(const gemm_tile_task<Element>& t) {
    const mask last = t.last;
    const float* const* const a = t.rows->a;
    float* const* const c = t.rows->c;
    vec sum[Rows][Vectors];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      const float* const from = t.begin != nullptr ? t.begin : c[r] + t.column;
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        sum[r][v] = load_part<Partial, Vectors>(from, v, last);
      }
    }

    const block_of<Element> block = t.w;
    const Element* w = block.data;
    const char* fetch = t.fetch;
    const int64_t fetch_step = t.fetch_step;
    const int64_t end = t.k_end;
    const float* row_of_a[Rows];
    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      row_of_a[r] = a[r];
    }
    for (int64_t p = t.k_begin; p < end; ++p) {
      vec row[Vectors];
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        row[v] = widened_part<Partial, Vectors>(block, w, v, last);
      }
      UNROLL
      for (int32_t line = 0; line < 1 << FetchLog; ++line) {
        __builtin_prefetch(fetch + line * kLineBytes, 0, 2);
      }
      UNROLL
      for (int32_t r = 0; r < Rows; ++r) {
        const vec factor = set1(row_of_a[r][p]);
        UNROLL
        for (int32_t v = 0; v < Vectors; ++v) {
          sum[r][v] = fma(factor, row[v], sum[r][v]);
        }
      }
      w += block.ld;
      fetch += fetch_step;
    }

    UNROLL
    for (int32_t r = 0; r < Rows; ++r) {
      UNROLL
      for (int32_t v = 0; v < Vectors; ++v) {
        store_part<Partial, Vectors>(c[r] + t.column, v, sum[r][v], last);
      }
    }
  }
};

template <typename Element>
struct gemm_tiles_of {
  template <int32_t Rows, int32_t Vectors, bool Partial, int32_t FetchLog>
  using tile = gemm_tile<Element, Rows, Vectors, Partial, FetchLog>;
};

}  // namespace
