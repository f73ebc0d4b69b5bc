// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "activation_kind.h"
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "schedule.h"

namespace blocksparse {
namespace {

// Calls row_function(r) for each row of a part, chunk after chunk; there are `rows` of them.
template <typename RowFunction>
blocksparse_status for_each_row(const blocksparse_part& part, int64_t rows,
                                const RowFunction& row_function) {
  if (part.schedule == nullptr) {
    if (part.begin < 0 || part.begin > part.end || part.end > rows) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    for (int32_t r = part.begin; r < part.end; ++r) {
      row_function(int64_t{r});
    }
    return BLOCKSPARSE_OK;
  }
  gemm_schedule plan = {};
  blocksparse_status status = gemm_schedule::parse(part, &plan);
  if (status == BLOCKSPARSE_OK && !is_range(part.begin, part.end, plan.chunks)) {
    status = BLOCKSPARSE_BAD_SCHEDULE;
  }
  for (int32_t c = part.begin; status == BLOCKSPARSE_OK && c < part.end; ++c) {
    gemm_chunk chunk;
    status = plan.rows_of(c, INT32_MAX, rows, &chunk);  // no operand has a row for each block
    for (int32_t i = 0; status == BLOCKSPARSE_OK && i < chunk.rows.count; ++i) {
      row_function(int64_t{chunk.rows[i]});
    }
  }
  return status;
}

// Checks the sizes and operands of both functions: x, rows of n, is read or written beside z.
blocksparse_status check(const activation_kind& kind, const blocksparse_part& part, int32_t n,
                         const blocksparse_rows& z, const blocksparse_rows& x) {
  if ((kind.gated && n > INT32_MAX / 2) || !is_range(part.column_begin, part.column_end, n) ||
      z.count != x.count) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  return first_error(check_rows(z, kind.gated ? 2 * n : n), check_rows(x, n));
}

// Returns whether the product of two factors overflows or underflows as a float.
bool leave_the_floats(float x, float y) {
  return std::isnormal(x) && std::isnormal(y) && !std::isnormal(x * y);
}

// The factor of the first half's function, and its slope.
struct second_factor {
  double value, slope;
};

second_factor second_of(elementwise_function function, const activation_gradient_row& row,
                        int32_t at) {
  if (row.second == nullptr) {
    return {1.0, 0.0};
  }
  const double x = static_cast<double>(row.second[at]);
  if (function != elementwise_function::clamped_silu) {
    return {x, 1.0};
  }
  constexpr double kLimit = static_cast<double>(kClampedSiluLimit);
  return {1.0 + (x < -kLimit  ? -kLimit
                 : x > kLimit ? kLimit
                              : x),
          std::fabs(x) > kLimit ? 0.0 : 1.0};
}

// kernels.differentiate with a factor that no float holds. This is rare and need not be fast.
float differentiate_in_double(const kernel_table& kernels, elementwise_function function,
                              const activation_gradient_row& row, double factor) {
  constexpr int32_t kPart = 64;
  float ones[kPart], seconds[kPart], slope[kPart], value[kPart];
  std::fill(ones, ones + kPart, 1.0f);
  // Multiplies the function by 1.
  std::fill(seconds, seconds + kPart, function == elementwise_function::clamped_silu ? 0.0f : 1.0f);
  double dot = 0.0;
  for (int32_t begin = 0; begin < row.n; begin += std::min(kPart, row.n - begin)) {
    const int32_t width = std::min(kPart, row.n - begin);
    kernels.differentiate(function,
                          {row.z + begin, seconds, width, 1.0f, ones, false, slope, value});
    for (int32_t q = 0; q < width; ++q) {
      const int32_t at = begin + q;
      const second_factor second = second_of(function, row, at);
      const double g = static_cast<double>(row.grad_a[at]), f = static_cast<double>(value[q]);
      const auto put = [&](float* to, double gradient) {
        *to = static_cast<float>(row.accumulate ? static_cast<double>(*to) + gradient : gradient);
      };
      put(row.grad_z + at, factor * g * second.value * static_cast<double>(slope[q]));
      if (row.second != nullptr) {
        put(row.grad_second + at, factor * g * f * second.slope);
      }
      dot += g * f * second.value;
    }
  }
  return static_cast<float>(dot);
}

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_activation_f32(int32_t isa, const blocksparse_part* part,
                                   const blocksparse_activation_input* input,
                                   const blocksparse_rows* a) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, input, a)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  activation_kind kind;
  if (!parse_activation(input->activation, &kind)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const blocksparse_rows z = input->z, to = *a;
  const float* const gate = input->gate;
  const int32_t n = input->n, begin = part->column_begin, width = part->column_end - begin;
  const blocksparse_status status = check(kind, *part, n, z, to);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  return for_each_row(*part, to.count, [&](int64_t r) {
    if (n == 0) {
      return;  // operands may be null, and nothing may be added to a null pointer
    }
    const float* const from = z.data + r * z.stride + begin;
    activation_row row;
    row.z = from;
    row.second = kind.gated ? from + n : nullptr;
    row.n = width;
    row.gate = gate == nullptr ? 1.0f : gate[r];
    row.a = to.data + r * to.stride + begin;
    kernels->activate(kind.function, row);
  });
}

int32_t blocksparse_activation_gradient_f32(int32_t isa, const blocksparse_part* part,
                                            const blocksparse_activation_input* input, float alpha,
                                            const blocksparse_rows* grad_a, int32_t accumulate,
                                            const blocksparse_rows* grad_z, float* grad_gate) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, input, grad_a, grad_z)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  activation_kind kind;
  if (!parse_activation(input->activation, &kind) || !is_flag(accumulate)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const blocksparse_rows z = input->z, of_a = *grad_a, to = *grad_z;
  const float* const gate = input->gate;
  const int32_t n = input->n, begin = part->column_begin, width = part->column_end - begin;
  const blocksparse_status status =
      first_error(check(kind, *part, n, z, of_a), check(kind, *part, n, to, of_a));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (grad_gate != nullptr && width != n) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  return for_each_row(*part, of_a.count, [&](int64_t r) {
    if (n == 0) {  // operands may be null, and nothing may be added to a null pointer
      if (grad_gate != nullptr && accumulate == 0) {
        grad_gate[r] = 0.0f;
      }
      return;
    }
    const float* const from = z.data + r * z.stride + begin;
    float* const to_row = to.data + r * to.stride + begin;
    activation_gradient_row row;
    row.z = from;
    row.second = kind.gated ? from + n : nullptr;
    row.n = width;
    row.gate = gate == nullptr ? alpha : alpha * gate[r];
    row.grad_a = of_a.data + r * of_a.stride + begin;
    row.accumulate = accumulate == 1;
    row.grad_z = to_row;
    row.grad_second = kind.gated ? to_row + n : nullptr;
    const float dot = alpha * (gate != nullptr && leave_the_floats(alpha, gate[r])
                                   ? differentiate_in_double(
                                         *kernels, kind.function, row,
                                         static_cast<double>(alpha) * static_cast<double>(gate[r]))
                                   : kernels->differentiate(kind.function, row));
    if (grad_gate != nullptr) {
      grad_gate[r] = accumulate == 1 ? grad_gate[r] + dot : dot;
    }
  });
}
