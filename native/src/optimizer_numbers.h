// SPDX-License-Identifier: Apache-2.0
// The common part of optimizer steps: checks, and numbers that are computed once for all elements.
#ifndef BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H
#define BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "blocksparse/blocksparse.h"
#include "kernels/kernel_table.h"

namespace blocksparse {

// Returns the Euclidean norm; finite if the elements are.
inline float norm(const kernel_table& kernels, int64_t count, const float* x) {
  const double length = std::sqrt(kernels.sum_of_squares(count, x));
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::isfinite(length) ? std::min(length, kMost) : length);
}

inline bool is_rule(int32_t rule) { return rule >= BLOCKSPARSE_SGD && rule <= BLOCKSPARSE_ADAM; }

// Returns the work of a step by a valid rule, not prepared yet.
inline step_work work_of(const blocksparse_optimizer& optimizer, float scale, const float* g,
                         const blocksparse_parameters& w) {
  return {static_cast<update_rule>(optimizer.rule),
          w.count,
          optimizer.rate,
          scale,
          optimizer.decay,
          optimizer.beta1,
          optimizer.beta2,
          optimizer.epsilon,
          g,
          w.moment1,
          w.moment2,
          w.w};
}

// Returns whether a moment that the rule needs is NULL.
inline bool lacks_moment(const step_work& work) {
  return (work.rule != update_rule::sgd && work.moment1 == nullptr) ||
         (work.rule == update_rule::adam && work.moment2 == nullptr);
}

// The root of the largest loss of a square by underflow. With a smaller epsilon, a mean whose
// squares underflow would be divided by almost nothing.
constexpr float kLeastEpsilon = 0x1p-75f;

// Returns the work in the form that its kernel expects. No divisor is 0, so that 0 / 0, for an
// element without a gradient, is 0 even if epsilon is tiny or has become 0; and Adam's bias
// corrections are included. With c = sqrt(1 - beta2^step) Adam's step is (rate * c / (1 -
// beta1^step)) * m / (sqrt(v) + epsilon * c): both corrections leave the loop.
inline step_work prepared(step_work work, int64_t step) {
  double epsilon = static_cast<double>(work.epsilon);
  if (work.rule == update_rule::adam) {
    const double steps = static_cast<double>(step);
    const double correction1 = 1.0 - std::pow(static_cast<double>(work.beta1), steps);
    const double correction2 = std::sqrt(1.0 - std::pow(static_cast<double>(work.beta2), steps));
    work.rate = static_cast<float>(static_cast<double>(work.rate) * correction2 / correction1);
    epsilon = static_cast<double>(std::max(work.epsilon, kLeastEpsilon)) * correction2;
  }
  work.epsilon = std::max(static_cast<float>(epsilon), std::numeric_limits<float>::denorm_min());
  return work;
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H
