// SPDX-License-Identifier: Apache-2.0
//
// Vectors of 8 floats, with fused multiply-add and conversions of float16. For kernels_avx2.cpp
// only.
#include <immintrin.h>

#include "kernels/compiler_hints.h"
#include "kernels/element_types.h"

namespace {

using vec = __m256;
using mask = __m256i;
constexpr int32_t kWidth = 8;
constexpr int32_t kTileVectors = 2;  // sums take 6 x 2 of the 16 registers
constexpr int32_t kMostDotRows = 4;

INLINE vec set1(float x) { return _mm256_set1_ps(x); }
INLINE vec load(const float* p) { return _mm256_loadu_ps(p); }
INLINE void store(float* p, vec a) { _mm256_storeu_ps(p, a); }
// The address is a multiple of a vector.
INLINE void stream(float* p, vec a) { _mm256_stream_ps(p, a); }
INLINE void end_streams() { _mm_sfence(); }

INLINE mask first(int32_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec load(const float* p, mask m) { return _mm256_maskload_ps(p, m); }
INLINE void store(float* p, vec a, mask m) { _mm256_maskstore_ps(p, m, a); }
INLINE vec select(mask m, vec a, vec b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m)); }

// Weights of other types, as floats. There are no masked loads of such types: the leading elements
// are counted and read in whole units of 8 bytes or less.
INLINE int32_t count_of(mask m) {
  return __builtin_ctz(~static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(m))));
}
INLINE __m128i first_of_16_bits(const void* p, mask m) {
  const int32_t bytes = 2 * count_of(m);
  const uint64_t high =
      bytes > 8 ? first_bytes(static_cast<const char*>(p) + 8, bytes - 8) : uint64_t{0};
  return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(first_bytes(p, bytes)));
}
INLINE vec widen_bfloat16(__m128i a) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
}
INLINE vec widen_int8(__m128i a) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(a)); }
INLINE vec load(const blocksparse::float16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
INLINE vec load(const blocksparse::float16* p, mask m) {
  return _mm256_cvtph_ps(first_of_16_bits(p, m));
}
INLINE vec load(const blocksparse::bfloat16* p) {
  return widen_bfloat16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
INLINE vec load(const blocksparse::bfloat16* p, mask m) {
  return widen_bfloat16(first_of_16_bits(p, m));
}
INLINE vec load(const int8_t* p) {
  return widen_int8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
INLINE vec load(const int8_t* p, mask m) {
  return widen_int8(_mm_cvtsi64_si128(static_cast<int64_t>(first_bytes(p, count_of(m)))));
}

INLINE vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec div(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec sqrt(vec a) { return _mm256_sqrt_ps(a); }
// Returns b where either is NaN.
INLINE vec max(vec a, vec b) { return _mm256_max_ps(a, b); }
// Returns x where a < b, otherwise y, also where either is NaN.
INLINE vec if_less(vec a, vec b, vec x, vec y) {
  return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
INLINE bool has_nan(vec a) { return _mm256_movemask_ps(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)) != 0; }
INLINE vec round(vec a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// Returns a * 2^n for integers n in [-252, 254], in two steps, so that neither half leaves the
// range of exponents.
INLINE vec scale_by_power(vec a, vec n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i power1 = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i power2 =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(power1)), _mm256_castsi256_ps(power2));
}

INLINE void transpose(vec (&r)[kWidth]) {
  vec t[kWidth];
  UNROLL
  for (int32_t i = 0; i < kWidth; i += 4) {  // transposes 4 x 4 within each half of a register
    const vec low01 = _mm256_unpacklo_ps(r[i], r[i + 1]);
    const vec high01 = _mm256_unpackhi_ps(r[i], r[i + 1]);
    const vec low23 = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
    const vec high23 = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
    t[i] = _mm256_shuffle_ps(low01, low23, 0x44);
    t[i + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
    t[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    t[i + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
  }
  UNROLL
  for (int32_t i = 0; i < 4; ++i) {  // halves
    r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
  }
}

// Returns a vector whose element i is the sum of the elements of r[i].
INLINE vec sums_of_lanes(const vec (&r)[kWidth]) {
  const vec low = _mm256_hadd_ps(_mm256_hadd_ps(r[0], r[1]), _mm256_hadd_ps(r[2], r[3]));
  const vec high = _mm256_hadd_ps(_mm256_hadd_ps(r[4], r[5]), _mm256_hadd_ps(r[6], r[7]));
  return add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

}  // namespace
