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

int32_t blocksparse_step_f32(int32_t isa, const blocksparse_optimizer* optimizer, float scale,
                             int64_t step, const float* g, const blocksparse_parameters* w) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(optimizer, w)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_rule(optimizer->rule) || (optimizer->rule == BLOCKSPARSE_ADAM && step < 1)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (!is_count(w->count)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const step_work work = work_of(*optimizer, scale, g, *w);
  if (w->count > 0 && (g == nullptr || w->w == nullptr || lacks_moment(work))) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  kernels->step(prepared(work, step));
  return BLOCKSPARSE_OK;
}
