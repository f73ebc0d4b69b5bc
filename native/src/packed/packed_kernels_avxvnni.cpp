// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#define BLOCKSPARSE_BYTES "packed/byte_simd_avx2.h"
#include "packed/kernel.inl"

namespace blocksparse {
namespace packed {

const kernels kAvxVnni = {"avx-vnni", BLOCKSPARSE_AVX2, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
