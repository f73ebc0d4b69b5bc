// SPDX-License-Identifier: Apache-2.0
//
// Sums of rows that lie anywhere in a table, and products with them. See all_kernels.inl.
//
// Almost every row misses all caches, and no processor predicts where the next one lies: rows are
// prefetched kRowsAhead entries early, even those of later bags. The sum of a row's columns stays
// in registers. Other element types are widened to float as they are loaded.

namespace {

// Enough rows to hide the memory latency of rows of a few lines, and no more than a processor can
// have in flight.
constexpr int32_t kRowsAhead = 8;

// A prefetched index is unchecked, so its address must not be formed by pointer arithmetic.
template <int32_t kCount, typename Element>
INLINE void prefetch_elements(const Element* a, int64_t distance, int32_t index) {
  const uintptr_t apart = sizeof(Element) * static_cast<uintptr_t>(distance);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(a) + apart * static_cast<uintptr_t>(index);
  constexpr uintptr_t kBytes = sizeof(Element) * static_cast<uintptr_t>(kCount);
  for (uintptr_t at = 0; at < kBytes; at += kLineBytes) {
    __builtin_prefetch(reinterpret_cast<const void*>(begin + at), 0, 3);
  }
}

// Whether rows of these elements have scales.
template <typename Element>
constexpr bool kRowsHaveScales = std::is_same_v<Element, int8_t>;

// Returns elements of a row as floats, rounded once where the row has a scale.
template <typename Element, typename Mask>
INLINE vec widened_in_row(const Element* at, vec scale, Mask m) {
  if constexpr (kRowsHaveScales<Element>) {
    return mul(load(at, m), scale);
  } else {
    return load(at, m);
  }
}

INLINE float sum_of_lanes(vec a) {
  float lanes[kWidth];
  store(lanes, a);
  float total = 0.0f;
  for (const float lane : lanes) {
    total += lane;
  }
  return total;
}

template <typename Element, int32_t kVectors, bool kWeighted, typename Mask>
INLINE void sum_bag_columns(const bag_work& work, int32_t column, Mask m, vec* seen) {
  // A bag without entries may have no table.
  const Element* const a = work.count > 0 ? static_cast<const Element*>(work.a) + column : nullptr;
  vec sums[kVectors];
  UNROLL
  for (int32_t v = 0; v < kVectors; ++v) {
    sums[v] = set1(0.0f);
  }
  for (int32_t e = 0; e < work.count; ++e) {
    const int32_t ahead = e < work.known - kRowsAhead ? e + kRowsAhead : e;
    prefetch_elements<kVectors * kWidth>(a, work.lda, work.indices[ahead]);
    float scale_of_row = 1.0f;
    if constexpr (kRowsHaveScales<Element>) {
      prefetch_elements<1>(work.scales, 1, work.indices[ahead]);
      scale_of_row = work.scales[work.indices[e]];
    }
    const Element* const row = a + work.indices[e] * work.lda;
    const vec factor = set1(kWeighted ? work.values[e] : 1.0f);
    UNROLL
    for (int32_t v = 0; v < kVectors; ++v) {
      const vec x = widened_in_row(row + v * kWidth, set1(scale_of_row), m);
      sums[v] = kWeighted ? fma(factor, x, sums[v]) : add(sums[v], x);
    }
  }
  const vec scale = set1(work.scale);
  UNROLL
  for (int32_t v = 0; v < kVectors; ++v) {
    *seen = fma(sums[v], set1(0.0f), *seen);
    store(work.c + column + v * kWidth, mul(scale, sums[v]), m);
  }
}

template <typename Element, int32_t kVectors, bool kWeighted>
INLINE int32_t sum_full_bag_columns(const bag_work& work, int32_t column, vec* seen) {
  for (; column <= work.n - kVectors * kWidth; column += kVectors * kWidth) {
    sum_bag_columns<Element, kVectors, kWeighted>(work, column, all{}, seen);
  }
  return column;
}

template <typename Element, bool kWeighted>
bool sum_bag(const bag_work& work) {
  vec seen = set1(0.0f);  // NaN as soon as a sum is not finite
  int32_t column = sum_full_bag_columns<Element, 8, kWeighted>(work, 0, &seen);
  column = sum_full_bag_columns<Element, 4, kWeighted>(work, column, &seen);
  column = sum_full_bag_columns<Element, 2, kWeighted>(work, column, &seen);
  column = sum_full_bag_columns<Element, 1, kWeighted>(work, column, &seen);
  if (column < work.n) {
    sum_bag_columns<Element, 1, kWeighted>(work, column, first(work.n - column), &seen);
  }
  return !has_nan(seen);
}

template <typename Element>
INLINE bool sum_bag_of(const bag_work& work) {
  return work.values == nullptr ? sum_bag<Element, false>(work) : sum_bag<Element, true>(work);
}

bool bag_sum(const bag_work& work) {
  switch (work.a_type) {
    case element_type::float32:
      break;
    case element_type::float16:
      return sum_bag_of<float16>(work);
    case element_type::bfloat16:
      return sum_bag_of<bfloat16>(work);
    case element_type::int8:
      return sum_bag_of<int8_t>(work);
  }
  return sum_bag_of<float>(work);
}

template <typename Element>
float dot_of(int64_t count, const Element* x, float scale, const float* y) {
  vec sum = set1(0.0f);
  for_each_vector(count, [&](int64_t i, auto m) {
    sum = fma(widened_in_row(x + i, set1(scale), m), load(y + i, m), sum);
  });
  return sum_of_lanes(sum);
}

float dot(element_type x_type, int64_t count, const void* x, float scale, const float* y) {
  switch (x_type) {
    case element_type::float32:
      break;
    case element_type::float16:
      return dot_of(count, static_cast<const float16*>(x), scale, y);
    case element_type::bfloat16:
      return dot_of(count, static_cast<const bfloat16*>(x), scale, y);
    case element_type::int8:
      return dot_of(count, static_cast<const int8_t*>(x), scale, y);
  }
  return dot_of(count, static_cast<const float*>(x), scale, y);
}

}  // namespace
