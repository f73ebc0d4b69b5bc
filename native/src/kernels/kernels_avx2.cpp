// SPDX-License-Identifier: Apache-2.0
#define BLOCKSPARSE_SIMD "kernels/simd_avx2.h"
#include "kernels/all_kernels.inl"

const blocksparse::kernel_table blocksparse::kAvx2Kernels = kTable;
