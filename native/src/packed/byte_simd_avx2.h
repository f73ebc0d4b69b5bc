// SPDX-License-Identifier: Apache-2.0
// Vectors of 64 bytes, 16 integers and 16 floats for AVX2, each in two registers; with AVX-VNNI in
// files compiled for it. For packed_kernels_avx2.cpp and packed_kernels_avxvnni.cpp only.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/compiler_hints.h"

namespace {

struct bytes {
  __m256i low, high;
};
struct ints {
  __m256i low, high;
};
struct floats {
  __m256 low, high;
};
using eight_codes = const int8_t*;

constexpr bool kMultipliesPairs = false;

INLINE __m256i load_half(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
INLINE bytes load_bytes(const uint8_t* p) { return {load_half(p), load_half(p + 32)}; }
INLINE bytes low_halves(bytes a) {
  const __m256i fifteen = _mm256_set1_epi8(15);
  return {_mm256_and_si256(a.low, fifteen), _mm256_and_si256(a.high, fifteen)};
}
INLINE bytes high_halves(bytes a) {
  return low_halves({_mm256_srli_epi16(a.low, 4), _mm256_srli_epi16(a.high, 4)});
}
INLINE bytes look_up(const uint8_t (&table)[16], bytes a) {
  const __m256i lanes =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm256_shuffle_epi8(lanes, a.low), _mm256_shuffle_epi8(lanes, a.high)};
}
INLINE bytes join(bytes a, bytes b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}

INLINE ints set_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
INLINE ints add_ints(ints a, ints b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
INLINE floats to_floats(ints a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }

INLINE eight_codes load_eight(const int8_t* p) { return p; }
template <int32_t kFour>
INLINE __m256i broadcast(eight_codes eight) {
  int32_t all;
  std::memcpy(&all, eight + 4 * kFour, sizeof(all));
  return _mm256_set1_epi32(all);
}

#if defined(__AVXVNNI__)

constexpr int32_t kMostRows = 5;  // sums take 10 of the 16 registers
constexpr int32_t kMostLines = 6;
constexpr int32_t kByteOffset = 128;

using byte_codes = bytes;
INLINE byte_codes to_codes(bytes a) { return a; }

// Adds four products to each number: with the first four codes of a row, or with the others.
template <int32_t kFour>
INLINE ints add_dots(ints sum, bytes a, eight_codes eight) {
  const __m256i four = broadcast<kFour>(eight);
  return {_mm256_dpbusd_avx_epi32(sum.low, a.low, four),
          _mm256_dpbusd_avx_epi32(sum.high, a.high, four)};
}

#else

constexpr int32_t kMostRows = 4, kMostLines = 4;
constexpr int32_t kByteOffset = 0;

// The instruction sums two products in 16 bits, which 255 * 127 * 2 exceeds. 128 * 127 * 2 fits:
// the first factor is the magnitude of a number, and the other factor gets its sign.
struct byte_codes {
  bytes numbers, sizes;
};
INLINE byte_codes to_codes(bytes a) {
  const __m256i top = _mm256_set1_epi8(-128);
  const bytes numbers = {_mm256_xor_si256(a.low, top), _mm256_xor_si256(a.high, top)};
  return {numbers, {_mm256_abs_epi8(numbers.low), _mm256_abs_epi8(numbers.high)}};
}

INLINE __m256i add_products(__m256i sum, __m256i a, __m256i b) {
  const __m256i pairs = _mm256_maddubs_epi16(a, b);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
// Adds four products to each number: with the first four codes of a row, or with the others.
template <int32_t kFour>
INLINE ints add_dots(ints sum, bytes a, eight_codes eight) {
  const __m256i four = broadcast<kFour>(eight);
  return {add_products(sum.low, a.low, four), add_products(sum.high, a.high, four)};
}
template <int32_t kFour>
INLINE ints add_dots(ints sum, byte_codes a, eight_codes eight) {
  const __m256i four = broadcast<kFour>(eight);
  return {add_products(sum.low, a.sizes.low, _mm256_sign_epi8(four, a.numbers.low)),
          add_products(sum.high, a.sizes.high, _mm256_sign_epi8(four, a.numbers.high))};
}

#endif

constexpr int32_t kMostRowsOfTwo = 0, kMostLinesOfTwo = 0;
constexpr int32_t kMostSumsOfTwo = 1;

INLINE __m256i first(int32_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE floats set_float(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE floats load_floats(const float* p, int32_t n) {
  return {_mm256_maskload_ps(p, first(n)), _mm256_maskload_ps(p + 8, first(n - 8))};
}
INLINE void store_floats(float* p, int32_t n, floats a) {
  _mm256_maskstore_ps(p, first(n), a.low);
  _mm256_maskstore_ps(p + 8, first(n - 8), a.high);
}
INLINE floats mul(floats a, floats b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
INLINE floats add(floats a, floats b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
INLINE floats fused(floats a, floats b, floats c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

INLINE floats load_float16(const uint8_t* p) {
  const __m128i* const halves = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
// Widens the first number of each pair of bfloat16, or the second.
INLINE floats low_bfloat16(bytes a) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(a.low, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(a.high, 16))};
}
INLINE floats high_bfloat16(bytes a) {
  const __m256i mask = _mm256_set1_epi32(-65536);
  return {_mm256_castsi256_ps(_mm256_and_si256(a.low, mask)),
          _mm256_castsi256_ps(_mm256_and_si256(a.high, mask))};
}
INLINE floats load_int8(const uint8_t* p) {
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return to_floats({_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8))});
}
// Returns 2^(e - 128), half of the scale of MXFP4, as its values are doubled; NaN for 255.
INLINE __m256 half_powers(__m256i e) {
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
  const __m256i denormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
  const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
  const __m256i none = _mm256_cmpeq_epi32(e, _mm256_set1_epi32(255));
  const __m256i a = _mm256_blendv_epi8(normal, denormal, low);
  return _mm256_castsi256_ps(_mm256_blendv_epi8(a, _mm256_set1_epi32(0x7fc00000), none));
}
INLINE floats load_half_powers(const uint8_t* p) {
  const __m128i e = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {half_powers(_mm256_cvtepu8_epi32(e)),
          half_powers(_mm256_cvtepu8_epi32(_mm_srli_si128(e, 8)))};
}

template <bool kNear>
INLINE void prefetch(const uint8_t* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), kNear ? _MM_HINT_T0 : _MM_HINT_T1);
}

// Returns the bits of the largest magnitude of n numbers; n is a multiple of 32.
INLINE uint32_t largest_bits(const float* x, int32_t n) {
  __m256i sizes = _mm256_setzero_si256();
  for (int32_t i = 0; i < n; i += 8) {
    const __m256i size = _mm256_and_si256(load_half(x + i), _mm256_set1_epi32(0x7fffffff));
    sizes = _mm256_max_epi32(sizes, size);
  }
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(sizes), _mm256_extracti128_si256(sizes, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(four));
}

INLINE int32_t sum_of(__m256i a) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

// Stores 32 codes, and returns numbers with the same sum.
INLINE __m256i store_codes(int8_t* codes, const __m256i (&all)[4]) {
  // Narrowing instructions work within 128 bits: groups of four codes come out in the order 0 2 4 6
  // 1 3 5 7.
  const __m256i narrow =
      _mm256_packs_epi16(_mm256_packs_epi32(all[0], all[1]), _mm256_packs_epi32(all[2], all[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                      _mm256_permutevar8x32_epi32(narrow, order));
  return _mm256_add_epi32(_mm256_add_epi32(all[0], all[1]), _mm256_add_epi32(all[2], all[3]));
}

// Rounds 32 numbers to a code each; see panels.h. Returns 65536 times the sum of the codes plus that
// of the first 16, for one sum over a vector.
INLINE int32_t round_once(const float* x, float factor, int8_t* codes) {
  __m256i all[4];
  UNROLL
  for (int32_t i = 0; i < 4; ++i) {
    all[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(factor)));
  }
  const __m256i sums = _mm256_slli_epi32(store_codes(codes, all), 16);
  return sum_of(_mm256_add_epi32(sums, _mm256_add_epi32(all[0], all[1])));
}

// Rounds to two codes each. Returns the sum of the first codes, and stores that of the others in
// low_sum.
INLINE int32_t round_twice(const float* x, float factor, int8_t* high, int8_t* low,
                           int32_t* low_sum) {
  __m256i codes[4], rest[4];
  UNROLL
  for (int32_t i = 0; i < 4; ++i) {
    const __m256 y = _mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(factor));
    codes[i] = _mm256_cvtps_epi32(_mm256_mul_ps(y, _mm256_set1_ps(1.0f / 254.0f)));
    const __m256 units = _mm256_mul_ps(_mm256_cvtepi32_ps(codes[i]), _mm256_set1_ps(254.0f));
    rest[i] = _mm256_cvtps_epi32(_mm256_sub_ps(y, units));
  }
  *low_sum = sum_of(store_codes(low, rest));
  return sum_of(store_codes(high, codes));
}

}  // namespace
