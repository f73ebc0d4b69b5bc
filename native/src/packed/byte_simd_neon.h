// SPDX-License-Identifier: Apache-2.0
// Vectors of 64 bytes, 16 integers and 16 floats for NEON with dot products, each in four
// registers; and with matrix products where the compiler may use them. For kernel_neon*.cpp only.
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "kernels/compiler_hints.h"

namespace {

struct bytes {
  uint8x16_t parts[4];
};
struct ints {
  int32x4_t parts[4];
};
struct floats {
  float32x4_t parts[4];
};
using byte_codes = bytes;
using eight_codes = int8x8_t;

constexpr int32_t kMostRows = 4;  // sums take 16 of the 32 registers
constexpr int32_t kMostLines = 4;
constexpr int32_t kMostRowsOfTwo = 0, kMostLinesOfTwo = 0;
constexpr int32_t kMostSumsOfTwo = 1;
constexpr int32_t kByteOffset = 0;
#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr bool kMultipliesPairs = true;
#else
constexpr bool kMultipliesPairs = false;
#endif

// Computes each register of the result by `expression` of p, its place.
#define FOUR(type, expression)      \
  type result;                      \
  UNROLL                            \
  for (int32_t p = 0; p < 4; ++p) { \
    result.parts[p] = (expression); \
  }                                 \
  return result

INLINE bytes load_bytes(const uint8_t* from) { FOUR(bytes, vld1q_u8(from + 16 * p)); }
// The instructions multiply signed bytes.
INLINE byte_codes to_codes(bytes a) { FOUR(bytes, veorq_u8(a.parts[p], vdupq_n_u8(0x80))); }
INLINE bytes low_halves(bytes a) { FOUR(bytes, vandq_u8(a.parts[p], vdupq_n_u8(15))); }
INLINE bytes high_halves(bytes a) { FOUR(bytes, vshrq_n_u8(a.parts[p], 4)); }
INLINE bytes look_up(const uint8_t (&table)[16], bytes a) {
  const uint8x16_t values = vld1q_u8(table);
  FOUR(bytes, vqtbl1q_u8(values, a.parts[p]));
}
INLINE bytes join(bytes a, bytes b) { FOUR(bytes, vorrq_u8(a.parts[p], b.parts[p])); }

INLINE ints set_int(int32_t x) { FOUR(ints, vdupq_n_s32(x)); }
INLINE eight_codes load_eight(const int8_t* from) { return vld1_s8(from); }
// Adds four products to each number: with the first four codes of a row, or with the others.
template <int32_t kFour>
INLINE ints add_dots(ints sum, byte_codes a, eight_codes eight) {
  FOUR(ints, vdotq_lane_s32(sum.parts[p], vreinterpretq_s8_u8(a.parts[p]), eight, kFour));
}
#if defined(__ARM_FEATURE_MATMUL_INT8)
// The initial sums of a pair of rows: those of row a and of row b.
INLINE ints set_pair(int32_t a, int32_t b) {
  const int32x4_t both = vcombine_s32(vdup_n_s32(a), vdup_n_s32(b));
  FOUR(ints, both);
}
// Adds eight products to each number. Of the four outputs of a register, `low` holds the sums of
// the first two, row a's and then row b's, and `high` those of the others.
INLINE void add_pair(ints& low, ints& high, byte_codes first, byte_codes second, eight_codes a,
                     eight_codes b) {
  const int8x16_t rows = vcombine_s8(a, b);
  UNROLL
  for (int32_t p = 0; p < 4; ++p) {
    const uint32x4_t w = vreinterpretq_u32_u8(first.parts[p]);
    const uint32x4_t next = vreinterpretq_u32_u8(second.parts[p]);
    low.parts[p] = vmmlaq_s32(low.parts[p], rows, vreinterpretq_s8_u32(vzip1q_u32(w, next)));
    high.parts[p] = vmmlaq_s32(high.parts[p], rows, vreinterpretq_s8_u32(vzip2q_u32(w, next)));
  }
}
// Separates the sums of a pair of rows into those of row a and of row b.
INLINE void separate(ints& a, ints& b) {
  UNROLL
  for (int32_t p = 0; p < 4; ++p) {
    const int32x4_t low = a.parts[p], high = b.parts[p];
    a.parts[p] = vcombine_s32(vget_low_s32(low), vget_low_s32(high));
    b.parts[p] = vcombine_s32(vget_high_s32(low), vget_high_s32(high));
  }
}
#endif
INLINE ints add_ints(ints a, ints b) { FOUR(ints, vaddq_s32(a.parts[p], b.parts[p])); }
INLINE floats to_floats(ints a) { FOUR(floats, vcvtq_f32_s32(a.parts[p])); }

INLINE floats set_float(float x) { FOUR(floats, vdupq_n_f32(x)); }
INLINE floats load_floats(const float* from, int32_t n) {
  float padded[16] = {};
  if (n < 16) {
    std::memcpy(padded, from, static_cast<std::size_t>(n) * sizeof(float));
    from = padded;
  }
  FOUR(floats, vld1q_f32(from + 4 * p));
}
INLINE void store_floats(float* to, int32_t n, floats a) {
  float padded[16];
  float* const whole = n < 16 ? padded : to;
  UNROLL
  for (int32_t p = 0; p < 4; ++p) {
    vst1q_f32(whole + 4 * p, a.parts[p]);
  }
  if (n < 16) {
    std::memcpy(to, padded, static_cast<std::size_t>(n) * sizeof(float));
  }
}
INLINE floats mul(floats a, floats b) { FOUR(floats, vmulq_f32(a.parts[p], b.parts[p])); }
INLINE floats add(floats a, floats b) { FOUR(floats, vaddq_f32(a.parts[p], b.parts[p])); }
INLINE floats fused(floats a, floats b, floats c) {
  FOUR(floats, vfmaq_f32(c.parts[p], a.parts[p], b.parts[p]));
}

INLINE floats load_float16(const uint8_t* from) {
  FOUR(floats, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(from + 8 * p))));
}
// Widens the first number of each pair of bfloat16, or the second.
INLINE floats low_bfloat16(bytes a) {
  FOUR(floats, vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u8(a.parts[p]), 16)));
}
INLINE floats high_bfloat16(bytes a) {
  FOUR(floats,
       vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u8(a.parts[p]), vdupq_n_u32(0xffff0000))));
}
INLINE floats load_int8(const uint8_t* from) {
  const int8x16_t a = vreinterpretq_s8_u8(vld1q_u8(from));
  const int16x8_t low = vmovl_s8(vget_low_s8(a)), high = vmovl_s8(vget_high_s8(a));
  return to_floats({{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
                     vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))}});
}
// Returns 2^(e - 128), half of the scale of MXFP4, as its values are doubled; NaN for 255.
INLINE float32x4_t half_powers(uint16x4_t exponents) {
  const uint32x4_t e = vmovl_u16(exponents);
  const uint32x4_t normal = vshlq_n_u32(vsubq_u32(e, vdupq_n_u32(1)), 23);
  const uint32x4_t denormal = vshlq_u32(vdupq_n_u32(0x00200000), vreinterpretq_s32_u32(e));
  const uint32x4_t a = vbslq_u32(vcltq_u32(e, vdupq_n_u32(2)), denormal, normal);
  const uint32x4_t none = vceqq_u32(e, vdupq_n_u32(255));
  return vreinterpretq_f32_u32(vbslq_u32(none, vdupq_n_u32(0x7fc00000), a));
}
INLINE floats load_half_powers(const uint8_t* from) {
  const uint8x16_t e = vld1q_u8(from);
  const uint16x8_t low = vmovl_u8(vget_low_u8(e)), high = vmovl_u8(vget_high_u8(e));
  return {{half_powers(vget_low_u16(low)), half_powers(vget_high_u16(low)),
           half_powers(vget_low_u16(high)), half_powers(vget_high_u16(high))}};
}

template <bool kNear>
INLINE void prefetch(const uint8_t* p) {
  __builtin_prefetch(p, 0, kNear ? 3 : 2);
}

// Returns the bits of the largest magnitude of n numbers; n is a multiple of 32.
INLINE uint32_t largest_bits(const float* x, int32_t n) {
  uint32x4_t sizes = vdupq_n_u32(0);
  for (int32_t i = 0; i < n; i += 4) {
    sizes = vmaxq_u32(sizes, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i))));
  }
  return vmaxvq_u32(sizes);
}

INLINE void store_codes(int8_t* codes, int32x4_t low, int32x4_t high) {
  vst1_s8(codes, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
}

// Rounds 32 numbers to a code each; see panels.h. Returns 65536 times the sum of the codes plus that
// of the first 16, for one sum over a vector.
INLINE int32_t round_once(const float* x, float factor, int8_t* codes) {
  int32x4_t sum = vdupq_n_s32(0), half = sum;
  UNROLL
  for (int32_t i = 0; i < 32; i += 8) {
    const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i), factor));
    const int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + 4), factor));
    store_codes(codes + i, low, high);
    sum = vaddq_s32(sum, vaddq_s32(low, high));
    half = i == 8 ? sum : half;
  }
  return vaddvq_s32(vaddq_s32(vshlq_n_s32(sum, 16), half));
}

// Rounds to two codes each. Returns the sum of the first codes, and stores that of the others in
// low_sum.
INLINE int32_t round_twice(const float* x, float factor, int8_t* high, int8_t* low,
                           int32_t* low_sum) {
  int32x4_t sum = vdupq_n_s32(0), sum_of_rest = vdupq_n_s32(0);
  UNROLL
  for (int32_t i = 0; i < 32; i += 8) {
    int32x4_t codes[2], rest[2];
    UNROLL
    for (int32_t part = 0; part < 2; ++part) {
      const float32x4_t y = vmulq_n_f32(vld1q_f32(x + i + 4 * part), factor);
      codes[part] = vcvtnq_s32_f32(vmulq_n_f32(y, 1.0f / 254.0f));
      rest[part] = vcvtnq_s32_f32(vsubq_f32(y, vmulq_n_f32(vcvtq_f32_s32(codes[part]), 254.0f)));
    }
    store_codes(high + i, codes[0], codes[1]);
    store_codes(low + i, rest[0], rest[1]);
    sum = vaddq_s32(sum, vaddq_s32(codes[0], codes[1]));
    sum_of_rest = vaddq_s32(sum_of_rest, vaddq_s32(rest[0], rest[1]));
  }
  *low_sum = vaddvq_s32(sum_of_rest);
  return vaddvq_s32(sum);
}

#undef FOUR

}  // namespace
