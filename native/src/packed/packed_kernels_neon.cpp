// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#define BLOCKSPARSE_BYTES "packed/byte_simd_neon.h"
#include "packed/kernel.inl"

namespace blocksparse {
namespace packed {

const kernels kNeonDot = {"neon-dotprod", BLOCKSPARSE_NEON, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
