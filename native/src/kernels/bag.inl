// SPDX-License-Identifier: Apache-2.0
//
// Sums of rows that lie anywhere in a table, and products with them. See all_kernels.inl.
//
// Almost every row is a miss of all caches, and no processor guesses where the next one lies: rows
// are asked for kRowsAhead entries early, those of later bags included. The sum of a row's columns
// stays in registers.

namespace {

// Enough to cover the latency of memory with rows of a few lines, and no more than a processor can
// have under way.
constexpr int32_t kRowsAhead = 8;

// An index that is only prefetched was not checked, so its address must not be a pointer's sum.
template <int32_t kColumns>
INLINE void prefetch_columns(const float* a, int64_t lda, int32_t index) {
  const uintptr_t row = reinterpret_cast<uintptr_t>(a) +
                        sizeof(float) * static_cast<uintptr_t>(index) * static_cast<uintptr_t>(lda);
  for (int32_t q = 0; q < kColumns; q += kLineFloats) {
    __builtin_prefetch(
        reinterpret_cast<const void*>(row + sizeof(float) * static_cast<uintptr_t>(q)), 0, 3);
  }
}

template <int32_t kVectors, bool kWeighted, typename Mask>
INLINE void sum_bag_columns(const bag_work& work, int32_t column, Mask m) {
  // A bag without entries may come without a table.
  const float* const a = work.count > 0 ? work.a + column : nullptr;
  vec sums[kVectors];
  UNROLL
  for (int32_t v = 0; v < kVectors; ++v) {
    sums[v] = set1(0.0f);
  }
  for (int32_t e = 0; e < work.count; ++e) {
    const int32_t ahead = e + kRowsAhead < work.known ? e + kRowsAhead : e;
    prefetch_columns<kVectors * kWidth>(a, work.lda, work.indices[ahead]);
    const float* const row = a + work.indices[e] * work.lda;
    const vec factor = set1(kWeighted ? work.values[e] : 1.0f);
    UNROLL
    for (int32_t v = 0; v < kVectors; ++v) {
      const vec x = load(row + v * kWidth, m);
      sums[v] = kWeighted ? fma(factor, x, sums[v]) : add(sums[v], x);
    }
  }
  const vec scale = set1(work.scale);
  UNROLL
  for (int32_t v = 0; v < kVectors; ++v) {
    store(work.c + column + v * kWidth, mul(scale, sums[v]), m);
  }
}

template <int32_t kVectors, bool kWeighted>
INLINE int32_t sum_full_bag_columns(const bag_work& work, int32_t column) {
  for (; column + kVectors * kWidth <= work.n; column += kVectors * kWidth) {
    sum_bag_columns<kVectors, kWeighted>(work, column, all{});
  }
  return column;
}

template <bool kWeighted>
INLINE void sum_bag(const bag_work& work) {
  int32_t column = sum_full_bag_columns<8, kWeighted>(work, 0);
  column = sum_full_bag_columns<4, kWeighted>(work, column);
  column = sum_full_bag_columns<2, kWeighted>(work, column);
  column = sum_full_bag_columns<1, kWeighted>(work, column);
  if (column < work.n) {
    sum_bag_columns<1, kWeighted>(work, column, first(work.n - column));
  }
}

void bag_sum(const bag_work& work) {
  if (work.values == nullptr) {
    sum_bag<false>(work);
  } else {
    sum_bag<true>(work);
  }
}

float dot(int64_t count, const float* x, const float* y) {
  vec sum = set1(0.0f);
  for_each_vector(count,
                  [&](int64_t i, auto m) { sum = fma(load(x + i, m), load(y + i, m), sum); });
  float lanes[kWidth];
  store(lanes, sum);
  float total = 0.0f;
  for (const float lane : lanes) {
    total += lane;
  }
  return total;
}

}  // namespace
