// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "optimizer_numbers.h"

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

}  // namespace
}  // namespace blocksparse

float blocksparse_norm_f32(int32_t isa, int64_t count, const float* x) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (check_step(kernels, count, x) != BLOCKSPARSE_OK) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return norm(*kernels, count, x);
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
  const adam_numbers numbers = corrected(rate, beta1, beta2, epsilon, step);
  kernels->adam(count, numbers.rate, scale, decay, beta1, beta2, numbers.epsilon, g, m, v, w);
  return status;
}
