// SPDX-License-Identifier: Apache-2.0
#include "blocksparse/blocksparse.h"

const char* blocksparse_status_name(int32_t status) {
  switch (status) {
    case BLOCKSPARSE_OK:
      return "OK";
    case BLOCKSPARSE_NULL_POINTER:
      return "NULL_POINTER";
    case BLOCKSPARSE_BAD_SIZE:
      return "BAD_SIZE";
    case BLOCKSPARSE_BAD_SCHEDULE:
      return "BAD_SCHEDULE";
    case BLOCKSPARSE_BAD_INDEX:
      return "BAD_INDEX";
    case BLOCKSPARSE_BAD_ARGUMENT:
      return "BAD_ARGUMENT";
    case BLOCKSPARSE_UNSUPPORTED_ISA:
      return "UNSUPPORTED_ISA";
    case BLOCKSPARSE_SCRATCH_TOO_SMALL:
      return "SCRATCH_TOO_SMALL";
    case BLOCKSPARSE_NO_MEMORY:
      return "NO_MEMORY";
    default:
      return "UNKNOWN_STATUS";
  }
}

const char* blocksparse_isa_name(int32_t isa) {
  switch (isa) {
    case BLOCKSPARSE_PORTABLE:
      return "portable";
    case BLOCKSPARSE_NEON:
      return "neon";
    case BLOCKSPARSE_AVX2:
      return "avx2";
    case BLOCKSPARSE_AVX512:
      return "avx512";
    default:
      return nullptr;
  }
}
