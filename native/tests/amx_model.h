// SPDX-License-Identifier: Apache-2.0
//
// Packed products by AMX as packed/kernel_amx.inl makes them, with a model of its instructions in
// plain C++: for processors with AVX-512 VNNI and without AMX.
#ifndef BLOCKSPARSE_TESTS_AMX_MODEL_H
#define BLOCKSPARSE_TESTS_AMX_MODEL_H

#include "packed/panels.h"

namespace amx_model {

extern const blocksparse::packed::kernels kKernels;

// Returns whether tiles are exact; the library calls this before it uses them.
bool tiles_are_exact();

// Makes products by tiles differ from now on.
void break_products();

// Returns how often an instruction was used in a way that faults on a processor.
int32_t faults();

}  // namespace amx_model

#endif  // BLOCKSPARSE_TESTS_AMX_MODEL_H
