// SPDX-License-Identifier: Apache-2.0
//
// Vectors of 16 floats. For kernels_avx512.cpp and kernels_bfloat16.cpp only.
#include <immintrin.h>

#include "kernels/compiler_hints.h"
#include "kernels/element_types.h"

namespace {

using vec = __m512;
using mask = __mmask16;
constexpr int32_t kWidth = 16;
constexpr int32_t kTileVectors = 4;  // sums take 6 x 4 of the 32 registers
constexpr int32_t kMostDotRows = 8;

INLINE vec set1(float x) { return _mm512_set1_ps(x); }
INLINE vec load(const float* p) { return _mm512_loadu_ps(p); }
INLINE void store(float* p, vec a) { _mm512_storeu_ps(p, a); }
// The address is a multiple of a vector.
INLINE void stream(float* p, vec a) { _mm512_stream_ps(p, a); }
INLINE void end_streams() { _mm_sfence(); }

INLINE mask first(int32_t n) { return static_cast<mask>((1u << n) - 1); }
INLINE vec load(const float* p, mask m) { return _mm512_maskz_loadu_ps(m, p); }
INLINE void store(float* p, vec a, mask m) { _mm512_mask_storeu_ps(p, m, a); }
INLINE vec select(mask m, vec a, vec b) { return _mm512_mask_blend_ps(m, b, a); }

// Weights of other types, as floats.
INLINE vec widen_float16(__m256i a) { return _mm512_cvtph_ps(a); }
INLINE vec widen_bfloat16(__m256i a) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
}
INLINE vec widen_int8(__m128i a) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(a)); }
INLINE vec load(const blocksparse::float16* p) {
  return widen_float16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
INLINE vec load(const blocksparse::float16* p, mask m) {
  return widen_float16(_mm256_maskz_loadu_epi16(m, p));
}
INLINE vec load(const blocksparse::bfloat16* p) {
  return widen_bfloat16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
INLINE vec load(const blocksparse::bfloat16* p, mask m) {
  return widen_bfloat16(_mm256_maskz_loadu_epi16(m, p));
}
INLINE vec load(const int8_t* p) {
  return widen_int8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
INLINE vec load(const int8_t* p, mask m) { return widen_int8(_mm_maskz_loadu_epi8(m, p)); }

INLINE vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec div(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vec sqrt(vec a) { return _mm512_sqrt_ps(a); }
// Returns b where either is NaN.
INLINE vec max(vec a, vec b) { return _mm512_max_ps(a, b); }
// Returns x where a < b, otherwise y, also where either is NaN.
INLINE vec if_less(vec a, vec b, vec x, vec y) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
INLINE bool has_nan(vec a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0; }
INLINE vec round(vec a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// Returns a * 2^n, rounded once, for integers n.
INLINE vec scale_by_power(vec a, vec n) { return _mm512_scalef_ps(a, n); }

INLINE void transpose(vec (&r)[kWidth]) {
  vec t[kWidth];
  UNROLL
  for (int32_t i = 0; i < kWidth; i += 4) {  // transposes 4 x 4 within each quarter of a register
    const vec low01 = _mm512_unpacklo_ps(r[i], r[i + 1]);
    const vec high01 = _mm512_unpackhi_ps(r[i], r[i + 1]);
    const vec low23 = _mm512_unpacklo_ps(r[i + 2], r[i + 3]);
    const vec high23 = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
    t[i] = _mm512_shuffle_ps(low01, low23, 0x44);
    t[i + 1] = _mm512_shuffle_ps(low01, low23, 0xee);
    t[i + 2] = _mm512_shuffle_ps(high01, high23, 0x44);
    t[i + 3] = _mm512_shuffle_ps(high01, high23, 0xee);
  }
  UNROLL
  for (int32_t i = 0; i < 4; ++i) {  // quarters
    const vec even01 = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
    const vec odd01 = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
    const vec even23 = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
    const vec odd23 = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
    r[i] = _mm512_shuffle_f32x4(even01, even23, 0x88);
    r[i + 4] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    r[i + 8] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
    r[i + 12] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
  }
}

// Returns a vector whose element i is the sum of the elements of r[i].
INLINE vec sums_of_lanes(const vec (&r)[kWidth]) {
  vec half[kWidth / 2];  // sums of 2 elements
  UNROLL
  for (int32_t i = 0; i < kWidth / 2; ++i) {
    half[i] =
        add(_mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]), _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]));
  }
  vec quarter[4];  // sums of 4: of a quarter of a register
  UNROLL
  for (int32_t i = 0; i < 4; ++i) {
    quarter[i] = add(_mm512_shuffle_ps(half[2 * i], half[2 * i + 1], 0x44),
                     _mm512_shuffle_ps(half[2 * i], half[2 * i + 1], 0xee));
  }
  const vec low = add(_mm512_shuffle_f32x4(quarter[0], quarter[1], 0x88),
                      _mm512_shuffle_f32x4(quarter[0], quarter[1], 0xdd));
  const vec high = add(_mm512_shuffle_f32x4(quarter[2], quarter[3], 0x88),
                       _mm512_shuffle_f32x4(quarter[2], quarter[3], 0xdd));
  return add(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}

}  // namespace
