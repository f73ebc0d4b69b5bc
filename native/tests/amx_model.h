// SPDX-License-Identifier: Apache-2.0
//
// Packed products by AMX as packed/kernel_amx.inl makes them, with a model of its instructions in
// plain C++: for processors with AVX-512 VNNI and without AMX.
#ifndef BLOCKSPARSE_TESTS_AMX_MODEL_H
#define BLOCKSPARSE_TESTS_AMX_MODEL_H

#include "packed/panels.h"

namespace amx_model {

extern const blocksparse::packed::kernels kKernels;

// The library asks this before it uses tiles.
bool tiles_are_exact();

// Bits of products by tiles differ from here on.
void break_products();

// How often an instruction was used in a way that a processor faults on.
int32_t faults();

}  // namespace amx_model

#endif  // BLOCKSPARSE_TESTS_AMX_MODEL_H
