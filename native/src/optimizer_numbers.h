// SPDX-License-Identifier: Apache-2.0
//
// The common part of optimizer steps: checks, and numbers that are computed once and not
// for each element.
#ifndef BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H
#define BLOCKSPARSE_SRC_OPTIMIZER_NUMBERS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "blocksparse/blocksparse.h"
#include "kernels/kernel_table.h"

namespace blocksparse {

// The Euclidean length; finite if the elements are.
inline float norm(const kernel_table& kernels, int64_t count, const float* x) {
  const double length = std::sqrt(kernels.sum_of_squares(count, x));
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::isfinite(length) ? std::min(length, kMost) : length);
}

inline bool is_rule(int32_t rule) { return rule >= BLOCKSPARSE_SGD && rule <= BLOCKSPARSE_ADAM; }

// The work of a step whose rule is one; not prepared yet.
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

// Whether a moment that the rule keeps is NULL.
inline bool lacks_moment(const step_work& work) {
  return (work.rule != update_rule::sgd && work.moment1 == nullptr) ||
         (work.rule == update_rule::adam && work.moment2 == nullptr);
}

// The root of what a square loses at most where floats end. A smaller epsilon would be all that a
// mean is divided by whose squares are lost, and the step a leap.
constexpr float kLeastEpsilon = 0x1p-75f;

// The work with what its kernel expects: no divisor is 0, so that 0 / 0, of an element without a
// gradient, is 0 even if an epsilon is tiny or has become 0; and Adam's corrections for its first
// steps. With c = sqrt(1 - beta2^step) Adam's step is
//   (rate * c / (1 - beta1^step)) * m / (sqrt(v) + epsilon * c):
// both corrections leave the loop.
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
