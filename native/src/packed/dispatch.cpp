// SPDX-License-Identifier: Apache-2.0
#include "packed/panels.h"

namespace blocksparse {
namespace packed {

#if defined(__x86_64__)
extern const kernels kAvx512Vnni;

const kernels* avx512_vnni() {
  const bool has = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  return has ? &kAvx512Vnni : nullptr;
}
#else
const kernels* avx512_vnni() { return nullptr; }
#endif

}  // namespace packed
}  // namespace blocksparse
