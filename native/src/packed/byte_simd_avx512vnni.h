// SPDX-License-Identifier: Apache-2.0
// Vectors of 64 bytes, 16 integers and 16 floats for AVX-512 VNNI. For
// packed_kernels_avx512vnni.cpp only.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/compiler_hints.h"

namespace {

using bytes = __m512i;
using byte_codes = bytes;
using eight_codes = const int8_t*;
using ints = __m512i;
using floats = __m512;

constexpr int32_t kMostRows = 8;       // rows of one panel
constexpr int32_t kMostRowsOfTwo = 6;  // rows of two panels: sums take 24 of the 32 registers
constexpr int32_t kMostLines = 16, kMostLinesOfTwo = 12;
constexpr int32_t kMostSumsOfTwo = 4;
constexpr bool kMultipliesPairs = false;
constexpr int32_t kByteOffset = 128;

INLINE bytes load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
INLINE byte_codes to_codes(bytes a) { return a; }
INLINE bytes low_halves(bytes a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
INLINE bytes high_halves(bytes a) {
  return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
INLINE bytes look_up(const uint8_t (&table)[16], bytes a) {
  const __m128i lanes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(lanes), a);
}

INLINE bytes join(bytes a, bytes b) { return _mm512_or_si512(a, b); }

INLINE ints set_int(int32_t x) { return _mm512_set1_epi32(x); }
INLINE eight_codes load_eight(const int8_t* p) { return p; }
// Adds four products to each number: with the first four codes of a row, or with the others.
template <int32_t kFour>
INLINE ints add_dots(ints sum, byte_codes a, eight_codes eight) {
  int32_t all;
  std::memcpy(&all, eight + 4 * kFour, sizeof(all));
  return _mm512_dpbusd_epi32(sum, a, _mm512_set1_epi32(all));
}
INLINE ints add_ints(ints a, ints b) { return _mm512_add_epi32(a, b); }
INLINE floats to_floats(ints a) { return _mm512_cvtepi32_ps(a); }

INLINE __mmask16 first(int32_t n) { return static_cast<__mmask16>((1u << n) - 1); }
INLINE floats set_float(float x) { return _mm512_set1_ps(x); }
INLINE floats load_floats(const float* p, int32_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
INLINE void store_floats(float* p, int32_t n, floats a) { _mm512_mask_storeu_ps(p, first(n), a); }
INLINE floats mul(floats a, floats b) { return _mm512_mul_ps(a, b); }
INLINE floats add(floats a, floats b) { return _mm512_add_ps(a, b); }
INLINE floats fused(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }

INLINE floats load_float16(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// Widens the first number of each pair of bfloat16, or the second.
INLINE floats low_bfloat16(bytes a) { return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)); }
INLINE floats high_bfloat16(bytes a) {
  return _mm512_castsi512_ps(_mm512_and_si512(a, _mm512_set1_epi32(-65536)));
}
INLINE floats load_int8(const uint8_t* p) {
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(a));
}
// Returns 2^(e - 128), half of the scale of MXFP4, as its values are doubled; NaN for 255.
INLINE floats load_half_powers(const uint8_t* p) {
  const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
  const __m512i denormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
  const __mmask16 low = _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2));
  const __mmask16 none = _mm512_cmpeq_epi32_mask(e, _mm512_set1_epi32(255));
  const __m512i a = _mm512_mask_mov_epi32(normal, low, denormal);
  return _mm512_castsi512_ps(_mm512_mask_mov_epi32(a, none, _mm512_set1_epi32(0x7fc00000)));
}

template <bool kNear>
INLINE void prefetch(const uint8_t* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), kNear ? _MM_HINT_T0 : _MM_HINT_T1);
}

// Returns the bits of the largest magnitude of n numbers; n is a multiple of 32.
INLINE uint32_t largest_bits(const float* x, int32_t n) {
  const __m512i sign = _mm512_set1_epi32(0x7fffffff);
  __m512i low = _mm512_setzero_si512(), high = low;
  for (int32_t i = 0; i < n; i += 32) {
    low = _mm512_max_epi32(low, _mm512_and_si512(_mm512_loadu_si512(x + i), sign));
    high = _mm512_max_epi32(high, _mm512_and_si512(_mm512_loadu_si512(x + i + 16), sign));
  }
  return static_cast<uint32_t>(_mm512_reduce_max_epi32(_mm512_max_epi32(low, high)));
}

INLINE void store_codes(int8_t* codes, __m512i low, __m512i high) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm512_cvtepi32_epi8(low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + 16), _mm512_cvtepi32_epi8(high));
}

// Rounds 32 numbers to a code each; see panels.h. Returns 65536 times the sum of the codes plus that
// of the first 16, for one sum over a vector.
INLINE int32_t round_once(const float* x, float factor, int8_t* codes) {
  const __m512 f = _mm512_set1_ps(factor);
  const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), f));
  const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16), f));
  store_codes(codes, low, high);
  const __m512i all = _mm512_slli_epi32(_mm512_add_epi32(low, high), 16);
  return _mm512_reduce_add_epi32(_mm512_add_epi32(all, low));
}

// Rounds to two codes each. Returns the sum of the first codes, and stores that of the others in
// low_sum.
INLINE int32_t round_twice(const float* x, float factor, int8_t* high, int8_t* low,
                           int32_t* low_sum) {
  __m512i codes[2], rest[2];
  UNROLL
  for (int32_t i = 0; i < 2; ++i) {
    const __m512 y = _mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), _mm512_set1_ps(factor));
    codes[i] = _mm512_cvtps_epi32(_mm512_mul_ps(y, _mm512_set1_ps(1.0f / 254.0f)));
    const __m512 units = _mm512_mul_ps(_mm512_cvtepi32_ps(codes[i]), _mm512_set1_ps(254.0f));
    rest[i] = _mm512_cvtps_epi32(_mm512_sub_ps(y, units));
  }
  store_codes(high, codes[0], codes[1]);
  store_codes(low, rest[0], rest[1]);
  *low_sum = _mm512_reduce_add_epi32(_mm512_add_epi32(rest[0], rest[1]));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(codes[0], codes[1]));
}

}  // namespace
