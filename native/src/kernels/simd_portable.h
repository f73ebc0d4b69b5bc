// SPDX-License-Identifier: Apache-2.0
// Vectors of 4 floats in the vector extension of GCC and Clang, compiled for the baseline of the
// platform. For kernels_portable.cpp only.
#include <cmath>
#include <cstring>

#include "kernels/compiler_hints.h"
#include "kernels/element_types.h"

namespace {

typedef float vec __attribute__((vector_size(16)));
typedef int32_t ivec __attribute__((vector_size(16)));
typedef uint16_t four_of_16_bits __attribute__((vector_size(8)));
typedef int8_t four_of_8_bits __attribute__((vector_size(4)));
constexpr int32_t kWidth = 4;
constexpr int32_t kTileVectors = 2;  // 6 x 2 sums, for the 16 registers of SSE2
constexpr int32_t kMostDotRows = 4;

struct mask {
  int32_t count;
};

INLINE vec set1(float x) { return vec{x, x, x, x}; }
INLINE vec load(const float* p) {
  vec a;
  std::memcpy(&a, p, sizeof(a));
  return a;
}
INLINE void store(float* p, vec a) { std::memcpy(p, &a, sizeof(a)); }
// A plain store: the extension has no streaming one.
INLINE void stream(float* p, vec a) { store(p, a); }
INLINE void end_streams() {}

INLINE mask first(int32_t n) { return {n}; }
INLINE vec load(const float* p, mask m) {
  vec a = {};
  for (int32_t i = 0; i < m.count; ++i) {
    a[i] = p[i];
  }
  return a;
}
INLINE void store(float* p, vec a, mask m) {
  for (int32_t i = 0; i < m.count; ++i) {
    p[i] = a[i];
  }
}
INLINE vec select(mask m, vec a, vec b) {
  const ivec lanes = {0, 1, 2, 3};
  const ivec count = {m.count, m.count, m.count, m.count};
  return lanes < count ? a : b;
}

// Weights of other types, as floats.
INLINE ivec whole_16_bits(uint64_t bits) {
  four_of_16_bits lanes;
  std::memcpy(&lanes, &bits, sizeof(lanes));
  return __builtin_convertvector(lanes, ivec);
}
INLINE vec float_of_bits(ivec bits) {
  vec a;
  std::memcpy(&a, &bits, sizeof(a));
  return a;
}
// Moves the exponent from float16's range to float's, infinities and NaNs further; for subnormal
// numbers, a float subtraction takes off the excess.
INLINE vec widen_float16(uint64_t source) {
  const ivec half = whole_16_bits(source);
  const ivec shifted = (half & 0x7fff) << 13;
  const ivec exponent = shifted & 0x0f800000;
  const ivec normal = shifted + (112 << 23);
  const ivec special = normal + (112 << 23);
  const ivec least = {113 << 23, 113 << 23, 113 << 23, 113 << 23};
  const vec subnormal = float_of_bits(normal + (1 << 23)) - float_of_bits(least);
  ivec subnormal_bits;
  std::memcpy(&subnormal_bits, &subnormal, sizeof(subnormal_bits));
  const ivec magnitude = exponent == 0 ? subnormal_bits : exponent == 0x0f800000 ? special : normal;
  return float_of_bits(magnitude | (half & 0x8000) << 16);
}
INLINE vec widen_bfloat16(uint64_t source) { return float_of_bits(whole_16_bits(source) << 16); }
INLINE vec widen_int8(uint64_t source) {
  four_of_8_bits lanes;
  std::memcpy(&lanes, &source, sizeof(lanes));
  return __builtin_convertvector(__builtin_convertvector(lanes, ivec), vec);
}
INLINE vec load(const blocksparse::float16* p) { return widen_float16(first_bytes(p, 8)); }
INLINE vec load(const blocksparse::float16* p, mask m) {
  return widen_float16(first_bytes(p, 2 * m.count));
}
INLINE vec load(const blocksparse::bfloat16* p) { return widen_bfloat16(first_bytes(p, 8)); }
INLINE vec load(const blocksparse::bfloat16* p, mask m) {
  return widen_bfloat16(first_bytes(p, 2 * m.count));
}
INLINE vec load(const int8_t* p) { return widen_int8(first_bytes(p, 4)); }
INLINE vec load(const int8_t* p, mask m) { return widen_int8(first_bytes(p, m.count)); }

INLINE vec add(vec a, vec b) { return a + b; }
INLINE vec sub(vec a, vec b) { return a - b; }
INLINE vec mul(vec a, vec b) { return a * b; }
INLINE vec div(vec a, vec b) { return a / b; }
// The compiler fuses it where the baseline can: everywhere or nowhere.
INLINE vec fma(vec a, vec b, vec c) { return a * b + c; }
INLINE vec sqrt(vec a) {
  for (int32_t i = 0; i < kWidth; ++i) {
    a[i] = std::sqrt(a[i]);
  }
  return a;
}
// Returns b where either is NaN.
INLINE vec max(vec a, vec b) { return a > b ? a : b; }
// Returns x where a < b, otherwise y, also where either is NaN.
INLINE vec if_less(vec a, vec b, vec x, vec y) { return a < b ? x : y; }
INLINE bool has_nan(vec a) {
  const ivec lanes = a != a;
  uint64_t halves[2];
  std::memcpy(halves, &lanes, sizeof(halves));
  return (halves[0] | halves[1]) != 0;
}
// Rounds to the nearest integer, for |a| < 2^22; undefined for larger ones.
INLINE vec round(vec a) {
  const vec shift = set1(0x1.8p23f);
  return (a + shift) - shift;
}
// Returns a * 2^n for integers n in [-252, 254], in two steps, so that neither half leaves the
// range of exponents.
INLINE vec scale_by_power(vec a, vec n) {
  // The sum's low bits hold n as an integer; a conversion would be undefined for NaN.
  const vec shifted = n + set1(0x1.8p23f);
  ivec bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  const ivec whole = bits - 0x4b400000;
  const ivec half = whole >> 1;
  const ivec power1 = (half + 127) << 23;
  const ivec power2 = (whole - half + 127) << 23;
  vec factor1, factor2;
  std::memcpy(&factor1, &power1, sizeof(factor1));
  std::memcpy(&factor2, &power2, sizeof(factor2));
  return a * factor1 * factor2;
}

INLINE void transpose(vec (&r)[kWidth]) {
  const vec low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const vec high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const vec low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const vec high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  r[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  r[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  r[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  r[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

// Returns a vector whose element i is the sum of the elements of r[i].
INLINE vec sums_of_lanes(vec (&r)[kWidth]) {
  transpose(r);
  return (r[0] + r[1]) + (r[2] + r[3]);
}

}  // namespace
