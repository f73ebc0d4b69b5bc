// SPDX-License-Identifier: Apache-2.0
// Vectors of 64 bytes, 16 integers and 16 floats, in the vector extension of GCC and Clang.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/compiler_hints.h"

namespace {

typedef uint8_t bytes __attribute__((vector_size(64)));
using byte_codes = bytes;
using eight_codes = const int8_t*;
typedef int32_t ints __attribute__((vector_size(64)));
typedef float floats __attribute__((vector_size(64)));

constexpr int32_t kMostRows = 4, kMostLines = 4;
constexpr int32_t kMostRowsOfTwo = 2, kMostLinesOfTwo = 2;
constexpr int32_t kMostSumsOfTwo = 0;
constexpr bool kMultipliesPairs = false;
constexpr int32_t kByteOffset = 128;

INLINE bytes load_bytes(const uint8_t* p) {
  bytes a;
  std::memcpy(&a, p, sizeof(a));
  return a;
}
INLINE byte_codes to_codes(bytes a) { return a; }
INLINE bytes low_halves(bytes a) { return a & 15; }
INLINE bytes high_halves(bytes a) { return a >> 4; }
INLINE bytes look_up(const uint8_t (&table)[16], bytes a) {
  for (int32_t i = 0; i < 64; ++i) {
    a[i] = table[a[i]];
  }
  return a;
}
INLINE bytes join(bytes a, bytes b) { return a | b; }

INLINE ints set_int(int32_t x) { return x - ints{}; }
INLINE eight_codes load_eight(const int8_t* p) { return p; }
// Adds four products to each number: with the first four codes of a row, or with the others.
template <int32_t kFour>
INLINE ints add_dots(ints sum, byte_codes a, eight_codes eight) {
  for (int32_t i = 0; i < 16; ++i) {
    for (int32_t k = 0; k < 4; ++k) {
      sum[i] += a[4 * i + k] * eight[4 * kFour + k];
    }
  }
  return sum;
}
INLINE ints add_ints(ints a, ints b) { return a + b; }
INLINE floats to_floats(ints a) { return __builtin_convertvector(a, floats); }

INLINE floats set_float(float x) { return x - floats{}; }
INLINE floats load_floats(const float* p, int32_t n) {
  floats a = {};
  std::memcpy(&a, p, static_cast<std::size_t>(n) * sizeof(float));
  return a;
}
INLINE void store_floats(float* p, int32_t n, floats a) {
  std::memcpy(p, &a, static_cast<std::size_t>(n) * sizeof(float));
}
INLINE floats mul(floats a, floats b) { return a * b; }
INLINE floats add(floats a, floats b) { return a + b; }
// Avoids std::fma, which MinGW's library rounds several times. The product of two floats is exact
// as a double; an inexact sum is rounded to odd, so that rounding it again is right.
INLINE floats fused(floats a, floats b, floats c) {
  for (int32_t i = 0; i < 16; ++i) {
    const double product = static_cast<double>(a[i]) * static_cast<double>(b[i]);
    const double added = static_cast<double>(c[i]);
    const double sum = product + added;
    const double part = sum - product;
    const double lost = (product - (sum - part)) + (added - part);
    int64_t pattern;
    std::memcpy(&pattern, &sum, sizeof(pattern));
    if ((lost < 0.0 || lost > 0.0) && pattern % 2 == 0) {
      pattern += (lost > 0.0) == (sum > 0.0) ? 1 : -1;
    }
    double odd;
    std::memcpy(&odd, &pattern, sizeof(odd));
    c[i] = static_cast<float>(odd);
  }
  return c;
}

INLINE float float_of(uint32_t pattern) {
  float x;
  std::memcpy(&x, &pattern, sizeof(x));
  return x;
}
INLINE float from_float16(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u, rest = half & 0x3ffu;
  if (exponent == 0) {
    const float size = static_cast<float>(rest) * 0x1p-24f;
    return sign == 0 ? size : -size;
  }
  return float_of(sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | rest << 13);
}
INLINE floats load_float16(const uint8_t* p) {
  floats a = {};
  for (int32_t i = 0; i < 16; ++i) {
    a[i] = from_float16(static_cast<uint16_t>(p[2 * i] | p[2 * i + 1] << 8));
  }
  return a;
}
// Widens the first number of each pair of bfloat16, or the second.
INLINE floats low_bfloat16(bytes a) {
  floats low;
  for (int32_t i = 0; i < 16; ++i) {
    low[i] = float_of(static_cast<uint32_t>(a[4 * i + 1] << 8 | a[4 * i]) << 16);
  }
  return low;
}
INLINE floats high_bfloat16(bytes a) {
  floats high;
  for (int32_t i = 0; i < 16; ++i) {
    high[i] = float_of(static_cast<uint32_t>(a[4 * i + 3] << 8 | a[4 * i + 2]) << 16);
  }
  return high;
}
INLINE floats load_int8(const uint8_t* p) {
  floats a = {};
  for (int32_t i = 0; i < 16; ++i) {
    a[i] = static_cast<float>(static_cast<int8_t>(p[i]));
  }
  return a;
}
// Returns 2^(e - 128), half of the scale of MXFP4, as its values are doubled; NaN for 255.
INLINE floats load_half_powers(const uint8_t* p) {
  floats a = {};
  for (int32_t i = 0; i < 16; ++i) {
    const uint32_t e = p[i];
    a[i] = float_of(e == 255 ? 0x7fc00000u : e < 2 ? 0x00200000u << e : (e - 1) << 23);
  }
  return a;
}

template <bool kNear>
INLINE void prefetch(const uint8_t*) {}

// Returns the bits of the largest magnitude of n numbers; n is a multiple of 32.
INLINE uint32_t largest_bits(const float* x, int32_t n) {
  uint32_t largest = 0;
  for (int32_t i = 0; i < n; ++i) {
    uint32_t pattern;
    std::memcpy(&pattern, x + i, sizeof(pattern));
    pattern &= 0x7fffffffu;
    largest = pattern > largest ? pattern : largest;
  }
  return largest;
}

// Rounds 32 numbers to a code each; see panels.h. Returns 65536 times the sum of the codes plus that
// of the first 16, for one sum over a vector.
INLINE int32_t round_once(const float* x, float factor, int8_t* codes) {
  int32_t sum = 0;
  for (int32_t i = 0; i < 32; ++i) {
    codes[i] = static_cast<int8_t>(std::nearbyint(x[i] * factor));
    sum += codes[i] * (i < 16 ? 65537 : 65536);
  }
  return sum;
}

// Rounds to two codes each. Returns the sum of the first codes, and stores that of the others in
// low_sum.
INLINE int32_t round_twice(const float* x, float factor, int8_t* high, int8_t* low,
                           int32_t* low_sum) {
  int32_t sum = 0;
  *low_sum = 0;
  for (int32_t i = 0; i < 32; ++i) {
    const float y = x[i] * factor;
    const float units = std::nearbyint(y * (1.0f / 254.0f));
    high[i] = static_cast<int8_t>(units);
    low[i] = static_cast<int8_t>(std::nearbyint(y - units * 254.0f));
    sum += high[i];
    *low_sum += low[i];
  }
  return sum;
}

}  // namespace
