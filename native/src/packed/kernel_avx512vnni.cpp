// SPDX-License-Identifier: Apache-2.0
#define BLOCKSPARSE_BYTES "packed/bytes_avx512vnni.h"
#include "packed/kernel.inl"

namespace blocksparse {
namespace packed {

extern const kernels kAvx512Vnni;
const kernels kAvx512Vnni = {kName, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
