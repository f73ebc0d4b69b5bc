// SPDX-License-Identifier: Apache-2.0
#ifndef BLOCKSPARSE_SRC_INITIAL_ROWS_H
#define BLOCKSPARSE_SRC_INITIAL_ROWS_H

#include <cstdint>
#include <cstring>

#include "schedule.h"

namespace blocksparse {

// Columns [begin, end) of the rows of a chunk before products are added: the bias of its
// block, or 0 if that is NULL.
inline void initialise_rows(indices rows, const float* bias, int32_t begin, int32_t end, float* c,
                            int64_t ldc) {
  const std::size_t bytes = static_cast<std::size_t>(end - begin) * sizeof(float);
  for (int32_t i = 0; i < rows.count; ++i) {
    float* const row = c + rows[i] * ldc + begin;
    if (bias != nullptr) {
      std::memcpy(row, bias + begin, bytes);
    } else {
      std::memset(row, 0, bytes);
    }
  }
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_INITIAL_ROWS_H
