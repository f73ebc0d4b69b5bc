// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#include "packed/panels.h"

#if defined(__x86_64__)
#include "kernels/x86_features.h"
#elif defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace blocksparse {
namespace packed {

#if defined(__aarch64__)
namespace {

bool has_dot_products() {
#if defined(__linux__)
  constexpr unsigned long kDotProducts = 1ul << 20;  // HWCAP_ASIMDDP
  return (getauxval(AT_HWCAP) & kDotProducts) != 0;
#elif defined(__APPLE__)
  return true;  // every Mac has them
#else
  return false;
#endif
}

// Products of integer matrices; with dot products, as the compiler may use those, too.
bool has_matrix_products() {
#if defined(__linux__)
  constexpr unsigned long kMatrixProducts = 1ul << 13;  // HWCAP2_I8MM
  return has_dot_products() && (getauxval(AT_HWCAP2) & kMatrixProducts) != 0;
#elif defined(__APPLE__)
  int32_t has = 0;
  size_t size = sizeof(has);
  return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, nullptr, 0) == 0 && has == 1;
#else
  return false;
#endif
}

}  // namespace
#endif

int32_t supported(const kernels* (&all)[kMostKernels]) {
  int32_t count = 0;
  all[count++] = &kPortable;
#if defined(__x86_64__)
  const x86_features& has = x86_features::detected();
  if (has.avx2) {
    all[count++] = &kAvx2;
  }
  if (has.avx_vnni) {
    all[count++] = &kAvxVnni;
  }
  if (has.avx512_vnni) {
    all[count++] = &kAvx512Vnni;
    // See kernels/dispatch.cpp: processors with AMX, all from Intel, do not need it.
    if (has.avx512_bf16 && has.amd) {
      all[count++] = &kAvx512Bf16;
    }
    if (has.amx_int8 && has.amx_bf16 && may_use_amx()) {
      all[count++] = &kAmx;
    }
  }
#elif defined(__aarch64__)
  if (has_dot_products()) {
    all[count++] = &kNeonDot;
  }
  if (has_matrix_products()) {
    all[count++] = &kNeonI8mm;
  }
#endif
  return count;
}

const kernels& fastest(int32_t isa) {
  const kernels* all[kMostKernels];
  int32_t count = supported(all);
  while (count > 1 && all[count - 1]->isa > isa) {
    --count;
  }
  return *all[count - 1];
}

}  // namespace packed
}  // namespace blocksparse
