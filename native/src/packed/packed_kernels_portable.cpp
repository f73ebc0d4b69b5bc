// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#define BLOCKSPARSE_BYTES "packed/byte_simd_portable.h"
#include "packed/kernel.inl"

namespace blocksparse {
namespace packed {

const kernels kPortable = {"portable", BLOCKSPARSE_PORTABLE, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
