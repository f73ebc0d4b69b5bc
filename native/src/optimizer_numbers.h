// SPDX-License-Identifier: Apache-2.0
//
// The numbers of an optimizer step that are computed once and not for each element.
#ifndef BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H
#define BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/kernel_table.h"

namespace blocksparse {

// The Euclidean length; finite if the elements are.
inline float norm(const kernel_table& kernels, int64_t count, const float* x) {
  const double length = std::sqrt(kernels.sum_of_squares(count, x));
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::isfinite(length) ? std::min(length, kMost) : length);
}

// So that 0 / 0, of an element without a gradient, is 0 even if an epsilon is tiny or has become 0.
inline float divisor(double epsilon) {
  return std::max(static_cast<float>(epsilon), std::numeric_limits<float>::denorm_min());
}

// The root of what a square loses at most where floats end. A smaller epsilon would be all that a
// mean is divided by whose squares are lost, and the step a leap.
constexpr float kLeastEpsilon = 0x1p-75f;

struct adam_numbers {
  float rate, epsilon;
};

// With c = sqrt(1 - beta2^step) the step is  (rate * c / (1 - beta1^step)) * m / (sqrt(v) +
// epsilon * c): both corrections leave the loop.
inline adam_numbers corrected(float rate, float beta1, float beta2, float epsilon, int64_t step) {
  const double steps = static_cast<double>(step);
  const double correction1 = 1.0 - std::pow(static_cast<double>(beta1), steps);
  const double correction2 = std::sqrt(1.0 - std::pow(static_cast<double>(beta2), steps));
  return {static_cast<float>(static_cast<double>(rate) * correction2 / correction1),
          static_cast<float>(static_cast<double>(std::max(epsilon, kLeastEpsilon)) * correction2)};
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H
