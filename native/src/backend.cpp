// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>

#include "blocksparse/blocksparse.h"

const char* blocksparse_version(void) { return BLOCKSPARSE_VERSION; }

const char* blocksparse_build_id(void) { return BLOCKSPARSE_BUILD_ID; }

const char* blocksparse_openblas_config(void) { return openblas_get_config(); }

const char* blocksparse_openblas_core(void) { return openblas_get_corename(); }

int32_t blocksparse_openblas_threads(void) { return openblas_get_num_threads(); }

void blocksparse_set_openblas_threads(int32_t threads) { openblas_set_num_threads(threads); }
