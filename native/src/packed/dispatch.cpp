// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#include "packed/panels.h"

#if defined(__x86_64__)
#include "kernels/x86_features.h"
#elif defined(__linux__)
#include <sys/auxv.h>
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
  return true;  // every Mac has
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
  }
#elif defined(__aarch64__)
  if (has_dot_products()) {
    all[count++] = &kNeonDot;
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
