// SPDX-License-Identifier: Apache-2.0
#ifndef BLOCKSPARSE_SRC_INITIAL_ROWS_H
#define BLOCKSPARSE_SRC_INITIAL_ROWS_H

#include <cstdint>
#include <cstring>

#include "schedule.h"

namespace blocksparse {

// Sets some columns of the rows of a chunk before products are added: to the bias of its block,
// whose first element belongs to the first of these columns, or to 0 if it is NULL.
inline void initialise_rows(indices rows, const float* bias, int32_t begin, int32_t columns,
                            const blocksparse_rows& c) {
  const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(float);
  for (int32_t i = 0; i < rows.count; ++i) {
    float* const row = c.data + rows[i] * c.stride + begin;
    if (bias != nullptr) {
      std::memcpy(row, bias, bytes);
    } else {
      std::memset(row, 0, bytes);
    }
  }
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_INITIAL_ROWS_H
