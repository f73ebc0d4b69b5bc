// SPDX-License-Identifier: Apache-2.0
// The instruction sets that an x86 processor has and whose registers the operating system saves. It
// asks the processor itself, as the compilers' helpers (__builtin_cpu_supports) need a runtime
// library that some of our toolchains lack.
#ifndef BLOCKSPARSE_SRC_KERNELS_X86_FEATURES_H
#define BLOCKSPARSE_SRC_KERNELS_X86_FEATURES_H

#include <cpuid.h>

#include <cstdint>

namespace blocksparse {

struct x86_features {
  bool avx2 = false;    // with FMA and conversions of float16
  bool avx512 = false;  // F, VL, BW and DQ; the sets named after it require it, too
  bool avx512_bf16 = false, avx512_vnni = false;
  bool avx_vnni = false;
  bool amx_bf16 = false, amx_int8 = false;  // a process must still ask for the registers
  bool amd = false;

  static const x86_features& detected() {
    static const x86_features features = detect();
    return features;
  }

 private:
  static constexpr uint64_t bit(int place) { return uint64_t{1} << place; }
  static constexpr bool has_all(uint64_t flags, uint64_t wanted) {
    return (flags & wanted) == wanted;
  }

  // The register states that the operating system saves and restores.
  static uint64_t enabled_states() {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
  }

  static x86_features detect() {
    constexpr uint64_t kYmmState = bit(1) | bit(2),
                       kZmmState = kYmmState | bit(5) | bit(6) | bit(7);
    constexpr uint64_t kAmxState = bit(17) | bit(18);
    x86_features has;
    uint32_t eax, ebx, ecx, edx;
    has.amd = __get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0 && ebx == signature_AMD_ebx &&
              ecx == signature_AMD_ecx && edx == signature_AMD_edx;
    constexpr uint64_t kFma = bit(12), kSaved = bit(27), kAvx = bit(28), kF16c = bit(29);
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 ||
        !has_all(ecx, kFma | kSaved | kAvx | kF16c)) {
      return has;
    }
    const uint64_t states = enabled_states();
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) {
      return has;
    }
    constexpr uint64_t kF = bit(16), kDq = bit(17), kBw = bit(30), kVl = bit(31);
    has.avx2 = has_all(ebx, bit(5)) && has_all(states, kYmmState);
    has.avx512 = has.avx2 && has_all(ebx, kF | kDq | kBw | kVl) && has_all(states, kZmmState);
    has.avx512_vnni = has.avx512 && has_all(ecx, bit(11));
    const bool has_tiles = has.avx512 && has_all(edx, bit(24)) && has_all(states, kAmxState);
    has.amx_bf16 = has_tiles && has_all(edx, bit(22));
    has.amx_int8 = has_tiles && has_all(edx, bit(25));
    if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
      has.avx_vnni = has.avx2 && has_all(eax, bit(4));
      has.avx512_bf16 = has.avx512 && has_all(eax, bit(5));
    }
    return has;
  }
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_KERNELS_X86_FEATURES_H
