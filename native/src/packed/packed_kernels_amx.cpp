// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#include "packed/kernel_amx.inl"

namespace blocksparse {
namespace packed {

const kernels kAmx = {"amx for INT8 and BFLOAT16, avx512-vnni for other types", BLOCKSPARSE_AVX512,
                      round_row, multiply_by_tiles};

bool may_use_amx() {
  static const bool may = ask_for_registers() && tiles_are_exact();
  return may;
}

}  // namespace packed
}  // namespace blocksparse
