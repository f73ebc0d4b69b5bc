// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "blocksparse/blocksparse.h"
#include "checks.h"

namespace blocksparse {
namespace {

float widen_float32(const char* at) {
  float value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float widen_bfloat16(const char* at) {
  uint16_t upper;
  std::memcpy(&upper, at, sizeof upper);
  const uint32_t bits = uint32_t{upper} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float widen_float16(const char* at) {
  uint16_t half;
  std::memcpy(&half, at, sizeof half);
  const uint32_t magnitude = half & 0x7fffu;
  const uint32_t sign = (half & 0x8000u) << 16;
  uint32_t bits = 0x7f800000u | (magnitude & 0x3ffu) << 13;
  if (magnitude < 0x7c00u) {
    // Combines the bits with the exponent of a float 2^-112 times as large, then scales exactly.
    const uint32_t small = magnitude << 13;
    float value;
    std::memcpy(&value, &small, sizeof value);
    value *= 0x1p112f;
    std::memcpy(&bits, &value, sizeof bits);
  }
  bits |= sign;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Returns the first of `length` ascending elements from `first` on that is not less than a value.
// No branch depends on the data, since none could be predicted.
const int32_t* lower_bound(const int32_t* first, int32_t length, int32_t value) {
  while (length > 0) {
    const int32_t half = length / 2;
    first += first[half] < value ? length - half : 0;
    length = half;
  }
  return first;
}

// Adds value times the weights of a row.
template <int32_t bytes, float (*widen)(const char*)>
blocksparse_status add_row(const blocksparse_sparse_weights& weights, int64_t row, double value,
                           double* sums) {
  const uint8_t* const columns = static_cast<const uint8_t*>(weights.columns);
  const char* const w = static_cast<const char*>(weights.w);
  const int32_t first = weights.starts[row], last = weights.starts[row + 1];
  if (!is_range(first, last, weights.entries)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }
  for (int32_t e = first; e < last; ++e) {
    // The product is exact, so fusing it with the addition changes nothing.
    sums[columns[e]] += value * static_cast<double>(widen(w + int64_t{e} * bytes));
  }
  return BLOCKSPARSE_OK;
}

template <int32_t bytes, float (*widen)(const char*)>
blocksparse_status add_bag(const blocksparse_sparse_weights& weights, const int32_t* indices,
                           const float* values, int32_t count, int32_t chunk, double* sums) {
  for (int32_t e = 0; e < count; ++e) {
    const int32_t first = weights.begins[indices[e]], last = weights.begins[indices[e] + 1];
    if (!is_range(first, last, weights.rows)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const int32_t* const at = lower_bound(weights.chunks + first, last - first, chunk);
    if (at < weights.chunks + last && *at == chunk) {
      const double value = values == nullptr ? 1.0 : static_cast<double>(values[e]);
      const blocksparse_status status =
          add_row<bytes, widen>(weights, at - weights.chunks, value, sums);
      if (status != BLOCKSPARSE_OK) {
        return status;
      }
    }
  }
  return BLOCKSPARSE_OK;
}

bool are_below(const int32_t* indices, int32_t count, int32_t bound) {
  bool inside = true;  // without a branch per entry
  for (int32_t e = 0; e < count; ++e) {
    inside &= indices[e] >= 0 && indices[e] < bound;
  }
  return inside;
}

constexpr int32_t kMostColumns = 256;  // as many as a byte can index

}  // namespace
}  // namespace blocksparse

using namespace blocksparse;

int32_t blocksparse_sparse_chunk_f32(const blocksparse_bags* bags, int32_t bag,
                                     const blocksparse_sparse_weights* w, int32_t chunk,
                                     const float* bias, int32_t n, float* c) {
  if (any_null(bags, w)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_range(bag, bag, bags->count - 1) || bags->entries < 0 || w->features < 0 || w->rows < 0 ||
      w->entries < 0 || n < 0 || n > kMostColumns) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (w->type < BLOCKSPARSE_FLOAT32 || w->type > BLOCKSPARSE_BFLOAT16) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (bags->offsets == nullptr) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const int32_t first = bags->offsets[bag], last = bags->offsets[bag + 1];
  if (!is_range(first, last, bags->entries)) {
    return BLOCKSPARSE_BAD_SCHEDULE;
  }
  const int32_t count = last - first;
  if ((count > 0 && (bags->indices == nullptr || w->begins == nullptr)) ||
      (w->rows > 0 && (w->chunks == nullptr || w->starts == nullptr)) ||
      (w->entries > 0 && (w->columns == nullptr || w->w == nullptr)) ||
      (n > 0 && (bias == nullptr || c == nullptr))) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  // Without entries, lists may be null, and nothing may be added to them.
  const int32_t* const indices = count == 0 ? nullptr : bags->indices + first;
  const float* const values =
      count == 0 || bags->values == nullptr ? nullptr : bags->values + first;
  if (!are_below(indices, count, w->features)) {
    return BLOCKSPARSE_BAD_INDEX;
  }
  const auto add = w->type == BLOCKSPARSE_FLOAT32   ? add_bag<4, widen_float32>
                   : w->type == BLOCKSPARSE_FLOAT16 ? add_bag<2, widen_float16>
                                                    : add_bag<2, widen_bfloat16>;
  const blocksparse_sparse_weights weights = *w;
  double sums[kMostColumns];
  std::fill(sums + n, sums + kMostColumns, 0.0);  // a file may name columns from n on
  for (int32_t q = 0; q < n; ++q) {
    sums[q] = static_cast<double>(bias[q]);
  }
  const blocksparse_status status = add(weights, indices, values, count, chunk, sums);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  for (int32_t q = 0; q < n; ++q) {
    c[q] = static_cast<float>(sums[q]);
  }
  return BLOCKSPARSE_OK;
}
