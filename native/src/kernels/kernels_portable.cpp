// SPDX-License-Identifier: Apache-2.0
#define BLOCKSPARSE_SIMD "kernels/simd_portable.h"
#include "kernels/all_kernels.inl"

const blocksparse::kernel_table blocksparse::kPortableKernels = kTable;
