// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#define BLOCKSPARSE_BYTES "packed/byte_simd_avx512vnni.h"
#include "packed/kernel.inl"

namespace blocksparse {
namespace packed {

const kernels kAvx512Vnni = {"avx512-vnni", BLOCKSPARSE_AVX512, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
