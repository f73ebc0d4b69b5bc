// SPDX-License-Identifier: Apache-2.0
#ifndef BLOCKSPARSE_SRC_LARGE_SUMS_H
#define BLOCKSPARSE_SRC_LARGE_SUMS_H

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {

// Rows of `size` elements, ld apart.
struct chosen_rows {
  indices rows;
  const float* data;
  int64_t ld;
  int32_t size;
};

// Returns whether a sum of outer products might overflow although alpha times it does not.
inline bool sums_may_overflow(const kernel_table& kernels, float alpha, const chosen_rows& x,
                              const chosen_rows& y) {
  if (!(std::fabs(alpha) < 1.0f)) {
    return false;
  }
  const auto largest = [&](const chosen_rows& of) {
    return static_cast<double>(
        kernels.largest_magnitude(of.rows.data, of.rows.count, of.data, of.ld, of.size));
  };
  return largest(x) * largest(y) * x.rows.count > static_cast<double>(FLT_MAX);
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_LARGE_SUMS_H
