// SPDX-License-Identifier: Apache-2.0
//
// Which kernels this processor can run. We ask the processor ourselves, as the compilers' own
// helpers (__builtin_cpu_supports) need a runtime library that not every toolchain of ours has.
#include "blocksparse/blocksparse.h"
#include "kernels/kernel_table.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace blocksparse {
namespace {

#if defined(__x86_64__)

// The register states that the operating system saves and restores.
uint64_t enabled_states() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

constexpr bool has_all(uint64_t flags, uint64_t wanted) { return (flags & wanted) == wanted; }

constexpr uint64_t bit(int place) { return uint64_t{1} << place; }

int32_t detect_best_isa() {
  constexpr uint64_t kFma = bit(12), kSaved = bit(27), kAvx = bit(28), kF16c = bit(29);  // 1, ecx
  constexpr uint64_t kAvx2 = bit(5), kF = bit(16), kDq = bit(17), kBw = bit(30), kVl = bit(31);
  constexpr uint64_t kYmmState = bit(1) | bit(2), kZmmState = kYmmState | bit(5) | bit(6) | bit(7);
  uint32_t eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || !has_all(ecx, kFma | kSaved | kAvx | kF16c)) {
    return BLOCKSPARSE_PORTABLE;
  }
  const uint64_t states = enabled_states();
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || !has_all(ebx, kAvx2) ||
      !has_all(states, kYmmState)) {
    return BLOCKSPARSE_PORTABLE;
  }
  return has_all(ebx, kF | kDq | kBw | kVl) && has_all(states, kZmmState) ? BLOCKSPARSE_AVX512
                                                                          : BLOCKSPARSE_AVX2;
}

// Products of bfloat16, and what makes such numbers of floats.
bool has_avx512_bf16(int32_t best_isa) {
  constexpr uint64_t kAvx512Bf16 = bit(5);  // 7.1, eax
  uint32_t eax, ebx, ecx, edx;
  return best_isa == BLOCKSPARSE_AVX512 && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
         eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         has_all(eax, kAvx512Bf16);
}

// A process has to ask for AMX, which is done later, where it is used, and known of Linux alone.
#if defined(__linux__)
constexpr bool kMayAskForAmx = true;
#else
constexpr bool kMayAskForAmx = false;
#endif

bool has_amx_bf16() {
  constexpr uint64_t kAmxBf16 = bit(22), kAmxTile = bit(24);  // 7.0, edx
  constexpr uint64_t kAmxState = bit(17) | bit(18);
  uint32_t eax, ebx, ecx, edx;
  return kMayAskForAmx && has_all(enabled_states(), kAmxState) &&
         __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && has_all(edx, kAmxBf16 | kAmxTile);
}

// On AMD's processors a dot product of AVX512-BF16 takes as long as a multiply-add, for twice the
// products. On an Intel it took longer than two; those that have AMX need it no more.
bool has_fast_dot_products() {
  uint32_t eax, ebx, ecx, edx;
  return __get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0 && ebx == signature_AMD_ebx &&
         ecx == signature_AMD_ecx && edx == signature_AMD_edx;
}

kernel_table avx512_kernels(int32_t best_isa) {
  kernel_table kernels = kAvx512Kernels;
  if (has_avx512_bf16(best_isa)) {
    if (has_amx_bf16()) {
      kernels.gemm_rounded = gemm_rounded_amx;
    } else if (has_fast_dot_products()) {
      kernels.gemm_rounded = gemm_rounded_avx512_bf16;
    }
  }
  return kernels;
}

#endif

}  // namespace

const kernel_table* kernels_for(int32_t isa) {
#if defined(__x86_64__)
  static const int32_t best = detect_best_isa();
  if (isa == BLOCKSPARSE_AVX2 && best >= BLOCKSPARSE_AVX2) {
    return &kAvx2Kernels;
  }
  if (isa == BLOCKSPARSE_AVX512 && best >= BLOCKSPARSE_AVX512) {
    static const kernel_table kernels = avx512_kernels(best);
    return &kernels;
  }
#elif defined(__aarch64__)
  if (isa == BLOCKSPARSE_NEON) {
    return &kNeonKernels;
  }
#endif
  return isa == BLOCKSPARSE_PORTABLE ? &kPortableKernels : nullptr;
}

}  // namespace blocksparse

int32_t blocksparse_isa_supported(int32_t isa) {
  return blocksparse::kernels_for(isa) != nullptr ? 1 : 0;
}

const char* blocksparse_rounded_words(int32_t isa) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return nullptr;
  }
#if defined(__x86_64__)
  if (kernels->gemm_rounded == gemm_rounded_amx) {
    return "AMX, if Linux grants it to the first that needs it; register tiles for few rows";
  }
  if (kernels->gemm_rounded == gemm_rounded_avx512_bf16) {
    return "AVX512-BF16; register tiles for few rows";
  }
#endif
  return "register tiles, as float32";
}
