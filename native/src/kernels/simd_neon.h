// SPDX-License-Identifier: Apache-2.0
//
// Vectors of 4 floats on 64-bit Arm. For kernels_neon.cpp only.
#include <arm_neon.h>

#include "kernels/compiler_hints.h"
#include "kernels/element_types.h"

namespace {

using vec = float32x4_t;
constexpr int32_t kWidth = 4;
constexpr int32_t kTileVectors = 4;  // sums take 6 x 4 of the 32 registers
constexpr int32_t kMostDotRows = 4;  // the value of other kernels with 4 lanes; not measured

// NEON has no masked loads and stores: a partial vector is processed element by element.
struct mask {
  int32_t count;
};

INLINE vec set1(float x) { return vdupq_n_f32(x); }
INLINE vec load(const float* p) { return vld1q_f32(p); }
INLINE void store(float* p, vec a) { vst1q_f32(p, a); }
// A plain store: NEON has no streaming one.
INLINE void stream(float* p, vec a) { store(p, a); }
INLINE void end_streams() {}

INLINE mask first(int32_t n) { return {n}; }
INLINE vec load(const float* p, mask m) {
  float lanes[kWidth] = {};
  for (int32_t i = 0; i < m.count; ++i) {
    lanes[i] = p[i];
  }
  return vld1q_f32(lanes);
}
INLINE void store(float* p, vec a, mask m) {
  float lanes[kWidth];
  vst1q_f32(lanes, a);
  for (int32_t i = 0; i < m.count; ++i) {
    p[i] = lanes[i];
  }
}
INLINE vec select(mask m, vec a, vec b) {
  static const int32_t lanes[kWidth] = {0, 1, 2, 3};
  return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(m.count)), a, b);
}

// Weights of other types, as floats.
INLINE vec widen_float16(uint64_t bits) {
  return vcvt_f32_f16(vreinterpret_f16_u64(vcreate_u64(bits)));
}
INLINE vec widen_bfloat16(uint64_t bits) {
  return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u64(vcreate_u64(bits)), 16));
}
INLINE vec widen_int8(uint64_t bits) {
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u64(vcreate_u64(bits))))));
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

INLINE vec add(vec a, vec b) { return vaddq_f32(a, b); }
INLINE vec sub(vec a, vec b) { return vsubq_f32(a, b); }
INLINE vec mul(vec a, vec b) { return vmulq_f32(a, b); }
INLINE vec div(vec a, vec b) { return vdivq_f32(a, b); }
INLINE vec fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
INLINE vec sqrt(vec a) { return vsqrtq_f32(a); }
// Returns NaN where either is NaN.
INLINE vec max(vec a, vec b) { return vmaxq_f32(a, b); }
// Returns x where a < b, otherwise y, also where either is NaN.
INLINE vec if_less(vec a, vec b, vec x, vec y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
INLINE bool has_nan(vec a) { return vminvq_u32(vceqq_f32(a, a)) == 0; }
INLINE vec round(vec a) { return vrndnq_f32(a); }
// Returns a * 2^n for integers n in [-252, 254], in two steps, so that neither half leaves the
// range of exponents.
INLINE vec scale_by_power(vec a, vec n) {
  const int32x4_t whole = vcvtq_s32_f32(n);
  const int32x4_t half = vshrq_n_s32(whole, 1);
  const int32x4_t bias = vdupq_n_s32(127);
  const int32x4_t power1 = vshlq_n_s32(vaddq_s32(half, bias), 23);
  const int32x4_t power2 = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);
  return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(power1)), vreinterpretq_f32_s32(power2));
}

INLINE void transpose(vec (&r)[kWidth]) {
  const float32x4x2_t t01 = vtrnq_f32(r[0], r[1]);
  const float32x4x2_t t23 = vtrnq_f32(r[2], r[3]);
  r[0] = vcombine_f32(vget_low_f32(t01.val[0]), vget_low_f32(t23.val[0]));
  r[1] = vcombine_f32(vget_low_f32(t01.val[1]), vget_low_f32(t23.val[1]));
  r[2] = vcombine_f32(vget_high_f32(t01.val[0]), vget_high_f32(t23.val[0]));
  r[3] = vcombine_f32(vget_high_f32(t01.val[1]), vget_high_f32(t23.val[1]));
}

// Returns a vector whose element i is the sum of the elements of r[i].
INLINE vec sums_of_lanes(const vec (&r)[kWidth]) {
  return vpaddq_f32(vpaddq_f32(r[0], r[1]), vpaddq_f32(r[2], r[3]));
}

}  // namespace
