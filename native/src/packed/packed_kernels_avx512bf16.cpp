// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"
#define BLOCKSPARSE_BYTES "packed/byte_simd_avx512vnni.h"
#include "packed/tiles.inl"

namespace {

using blocksparse::packed::kAvx512Vnni;
using blocksparse::packed::rounded_rows;

void round_row(const float* x, int32_t n, const rounded_rows& to, int32_t r) {
  kAvx512Vnni.round_row(x, n, to, r);
}

void multiply(weight_type type, const panel_product& product) {
  if (type == weight_type::bfloat16) {
    run_tiles<pair_tile>(product);
  } else {
    kAvx512Vnni.multiply(type, product);
  }
}

}  // namespace

namespace blocksparse {
namespace packed {

const kernels kAvx512Bf16 = {"avx512-bf16 for BFLOAT16, avx512-vnni for other types",
                             BLOCKSPARSE_AVX512, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
