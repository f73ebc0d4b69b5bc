// SPDX-License-Identifier: Apache-2.0
//
// 64 bytes, 16 whole numbers, 16 floats, in the vector extension that GCC and Clang share.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/compiler_hints.h"

namespace {

typedef uint8_t bytes __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));
typedef float floats __attribute__((vector_size(64)));

constexpr int32_t kMostRows = 4;
constexpr int32_t kMostRowsOfTwo = 2;
constexpr const char* kName = "portable";

INLINE bytes load_bytes(const uint8_t* p) {
  bytes a;
  std::memcpy(&a, p, sizeof(a));
  return a;
}
INLINE bytes low_halves(bytes a) { return a & 15; }
INLINE bytes high_halves(bytes a) { return a >> 4; }
INLINE bytes look_up(const uint8_t (&table)[16], bytes a) {
  for (int32_t i = 0; i < 64; ++i) {
    a[i] = table[a[i]];
  }
  return a;
}

INLINE ints set_int(int32_t x) { return x - ints{}; }
// Adds four products of an unsigned and a signed byte to each number.
INLINE ints add_dots(ints sum, bytes a, const int8_t* four) {
  for (int32_t i = 0; i < 16; ++i) {
    for (int32_t k = 0; k < 4; ++k) {
      sum[i] += a[4 * i + k] * four[k];
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
INLINE floats fused(floats a, floats b, floats c) {
  for (int32_t i = 0; i < 16; ++i) {
    c[i] = std::fma(a[i], b[i], c[i]);
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
// 2^(e - 128), which halves the scale of MXFP4, as its values are doubled; NaN for 255.
INLINE floats load_half_powers(const uint8_t* p) {
  floats a = {};
  for (int32_t i = 0; i < 16; ++i) {
    const uint32_t e = p[i];
    a[i] = float_of(e == 255 ? 0x7fc00000u : e < 2 ? 0x00200000u << e : (e - 1) << 23);
  }
  return a;
}

INLINE void prefetch(const uint8_t*) {}

// Rounds 32 numbers; see panels.h.
INLINE void round_group(const float* x, int8_t* codes, float* scale, int32_t* negated_sum) {
  uint32_t largest = 0;
  for (int32_t i = 0; i < 32; ++i) {
    uint32_t pattern;
    std::memcpy(&pattern, x + i, sizeof(pattern));
    pattern &= 0x7fffffffu;
    largest = pattern > largest ? pattern : largest;
  }
  if (largest >= 0x7f800000u) {
    std::memset(codes, 0, 32);
    *scale = float_of(0x7fc00000u);
    *negated_sum = 0;
    return;
  }
  const float least = 0x1p-119f;
  const float m = float_of(largest) > least ? float_of(largest) : least;
  const float factor = 127.0f / m;
  int32_t sum = 0;
  for (int32_t i = 0; i < 32; ++i) {
    codes[i] = static_cast<int8_t>(std::nearbyint(x[i] * factor));
    sum += codes[i];
  }
  *scale = m / 127.0f;
  *negated_sum = -sum;
}

}  // namespace
