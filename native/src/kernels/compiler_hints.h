// SPDX-License-Identifier: Apache-2.0
#ifndef BLOCKSPARSE_SRC_KERNELS_COMPILER_HINTS_H
#define BLOCKSPARSE_SRC_KERNELS_COMPILER_HINTS_H

#include <cstdint>

// Inlines the parts of a kernel, even without optimization: a kernel is one function, so that code
// of one instruction set never gets a symbol that another file could be linked to.
#define INLINE [[gnu::always_inline]] inline

// Stands before each loop over an array of vectors. Unless GCC unrolls the loop early, it keeps the
// array in memory rather than in registers.
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif  // BLOCKSPARSE_SRC_KERNELS_COMPILER_HINTS_H
