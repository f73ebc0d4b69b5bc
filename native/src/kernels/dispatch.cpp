// SPDX-License-Identifier: Apache-2.0
// Chooses the kernels that this processor can run.
#include "blocksparse/blocksparse.h"
#include "kernels/kernel_table.h"

#if defined(__x86_64__)
#include "kernels/x86_features.h"
#endif

namespace blocksparse {
namespace {

#if defined(__x86_64__)

// A process must ask for AMX, which is done on first use, and only Linux is known to grant it.
#if defined(__linux__)
constexpr bool kMayAskForAmx = true;
#else
constexpr bool kMayAskForAmx = false;
#endif

kernel_table avx512_kernels() {
  const x86_features& has = x86_features::detected();
  kernel_table kernels = kAvx512Kernels;
  if (has.avx512_bf16) {
    if (kMayAskForAmx && has.amx_bf16) {
      kernels.gemm_rounded = gemm_rounded_amx;
    } else if (has.amd) {
      // On AMD, a dot product of AVX512-BF16 takes as long as a multiply-add, for twice the
      // products. On Intel it took longer than two, and processors with AMX do not need it.
      kernels.gemm_rounded = gemm_rounded_avx512_bf16;
    }
  }
  return kernels;
}

#endif

}  // namespace

const kernel_table* kernels_for(int32_t isa) {
#if defined(__x86_64__)
  if (isa == BLOCKSPARSE_AVX2 && x86_features::detected().avx2) {
    return &kAvx2Kernels;
  }
  if (isa == BLOCKSPARSE_AVX512 && x86_features::detected().avx512) {
    static const kernel_table kernels = avx512_kernels();
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
