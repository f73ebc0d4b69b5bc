// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "optimizer_numbers.h"

float blocksparse_norm_f32(int32_t isa, int64_t count, const float* x) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr || !is_count(count) || (x == nullptr && count > 0)) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return norm(*kernels, count, x);
}

int32_t blocksparse_step_f32(int32_t isa, int32_t rule, int64_t count, float rate, float scale,
                             float decay, float beta1, float beta2, float epsilon, int64_t step,
                             const float* g, float* moment1, float* moment2, float* w) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (!is_rule(rule) || (rule == BLOCKSPARSE_ADAM && step < 1)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (!is_count(count)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const step_work work = {static_cast<update_rule>(rule),
                          count,
                          rate,
                          scale,
                          decay,
                          beta1,
                          beta2,
                          epsilon,
                          g,
                          moment1,
                          moment2,
                          w};
  if (count > 0 && (g == nullptr || w == nullptr || lacks_moment(work))) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  kernels->step(prepared(work, step));
  return BLOCKSPARSE_OK;
}
