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

// The entries of a bag that are looked up together.
constexpr int32_t kTogether = 64;

// Adds a value times the weights of a row.
template <int32_t bytes, float (*widen)(const char*)>
void add_row(const uint8_t* columns, const char* w, int32_t count, double value, double* sums) {
  for (int32_t i = 0; i < count; ++i) {
    // The product is exact, so fusing it with the addition changes nothing.
    sums[columns[i]] += value * static_cast<double>(widen(w + int64_t{i} * bytes));
  }
}

// Adds up to kTogether entries of a bag. Binary searches find their rows, and take each step
// together: reads that miss the cache overlap. No branch depends on the data, since none could be
// predicted.
template <int32_t bytes, float (*widen)(const char*)>
blocksparse_status add_some(const blocksparse_sparse_weights& weights, const int32_t* indices,
                            const float* values, int32_t count, int32_t chunk, double* sums) {
  int32_t rows[kTogether], lengths[kTogether];
  int32_t longest = 0;
  for (int32_t e = 0; e < count; ++e) {
    const int32_t first = weights.begins[indices[e]], last = weights.begins[indices[e] + 1];
    if (!is_range(first, last, weights.rows)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    rows[e] = first < last ? first : 0;  // a row that can be read
    lengths[e] = last - first;
    longest = std::max(longest, lengths[e]);
  }
  if (longest == 0) {
    return BLOCKSPARSE_OK;
  }
  for (; longest > 1; longest -= longest / 2) {
    for (int32_t e = 0; e < count; ++e) {
      const int32_t half = lengths[e] / 2;
      rows[e] += weights.chunks[rows[e] + half] <= chunk ? half : 0;
      lengths[e] -= half;
    }
  }
  int32_t entries[kTogether];  // those that have a row of the chunk
  int32_t found = 0;
  for (int32_t e = 0; e < count; ++e) {
    entries[found] = e;
    rows[found] = rows[e];
    found += static_cast<int32_t>(lengths[e] > 0) &
             static_cast<int32_t>(weights.chunks[rows[e]] == chunk);
  }
  const uint8_t* const columns = static_cast<const uint8_t*>(weights.columns);
  const char* const w = static_cast<const char*>(weights.w);
  for (int32_t i = 0; i < found; ++i) {
    const int32_t first = weights.starts[rows[i]], last = weights.starts[rows[i] + 1];
    if (!is_range(first, last, weights.entries)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    rows[i] = first;
    lengths[i] = last - first;
    __builtin_prefetch(columns + first, 0, 3);
    __builtin_prefetch(w + int64_t{first} * bytes, 0, 3);
  }
  for (int32_t i = 0; i < found; ++i) {
    const double value = values == nullptr ? 1.0 : static_cast<double>(values[entries[i]]);
    add_row<bytes, widen>(columns + rows[i], w + int64_t{rows[i]} * bytes, lengths[i], value, sums);
  }
  return BLOCKSPARSE_OK;
}

template <int32_t bytes, float (*widen)(const char*)>
blocksparse_status add_bag(const blocksparse_sparse_weights& weights, const int32_t* indices,
                           const float* values, int32_t count, int32_t chunk, double* sums) {
  for (int32_t begin = 0; begin < count; begin += kTogether) {
    const blocksparse_status status = add_some<bytes, widen>(
        weights, indices + begin, values == nullptr ? nullptr : values + begin,
        std::min(kTogether, count - begin), chunk, sums);
    if (status != BLOCKSPARSE_OK) {
      return status;
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
