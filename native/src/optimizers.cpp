// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"

namespace blocksparse {
namespace {

template <typename... Operands>
blocksparse_status check_step(const kernel_table* kernels, int64_t count,
                              const Operands*... operands) {
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (count < 0 || count > kMostElements) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const bool missing = (... || (operands == nullptr));
  return missing && count > 0 ? BLOCKSPARSE_NULL_POINTER : BLOCKSPARSE_OK;
}

// So that 0 / 0, of an element without a gradient, is 0 even if an epsilon is tiny or has become 0.
float divisor(double epsilon) {
  return std::max(static_cast<float>(epsilon), std::numeric_limits<float>::denorm_min());
}

}  // namespace
}  // namespace blocksparse

float blocksparse_norm_f32(int32_t isa, int64_t count, const float* x) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (check_step(kernels, count, x) != BLOCKSPARSE_OK) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  const double length = std::sqrt(kernels->sum_of_squares(count, x));
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::isfinite(length) ? std::min(length, kMost) : length);
}

int32_t blocksparse_sgd_f32(int32_t isa, int64_t count, float rate, float scale, float decay,
                            const float* g, float* w) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  const blocksparse_status status = check_step(kernels, count, g, w);
  if (status == BLOCKSPARSE_OK) {
    kernels->sgd(count, rate, scale, decay, g, w);
  }
  return status;
}

int32_t blocksparse_adagrad_f32(int32_t isa, int64_t count, float rate, float scale, float decay,
                                float epsilon, const float* g, float* s, float* w) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  const blocksparse_status status = check_step(kernels, count, g, s, w);
  if (status == BLOCKSPARSE_OK) {
    kernels->adagrad(count, rate, scale, decay, divisor(static_cast<double>(epsilon)), g, s, w);
  }
  return status;
}

int32_t blocksparse_adam_f32(int32_t isa, int64_t count, float rate, float scale, float decay,
                             float beta1, float beta2, float epsilon, int64_t step, const float* g,
                             float* m, float* v, float* w) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  const blocksparse_status status = check_step(kernels, count, g, m, v, w);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (step < 1) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  // With c = sqrt(1 - beta2^step) the step is  (rate * c / (1 - beta1^step)) * m / (sqrt(v) +
  // epsilon * c): both corrections leave the loop.
  const double steps = static_cast<double>(step);
  const double correction1 = 1.0 - std::pow(static_cast<double>(beta1), steps);
  const double correction2 = std::sqrt(1.0 - std::pow(static_cast<double>(beta2), steps));
  kernels->adam(count, static_cast<float>(static_cast<double>(rate) * correction2 / correction1),
                scale, decay, beta1, beta2, divisor(static_cast<double>(epsilon) * correction2), g,
                m, v, w);
  return status;
}
