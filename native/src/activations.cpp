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

// Which rows and columns a call is about.
struct row_selection {
  const int32_t* schedule;
  int64_t schedule_length;
  int32_t begin, end, column_begin, column_end;
  int64_t rows;

  // Calls row_function(r) for each row, chunk after chunk.
  template <typename RowFunction>
  blocksparse_status for_each_row(const RowFunction& row_function) const {
    if (schedule == nullptr) {
      if (begin < 0 || begin > end || end > rows) {
        return BLOCKSPARSE_BAD_SIZE;
      }
      for (int32_t r = begin; r < end; ++r) {
        row_function(int64_t{r});
      }
      return BLOCKSPARSE_OK;
    }
    gemm_schedule plan = {};
    blocksparse_status status = gemm_schedule::parse(schedule, schedule_length, &plan);
    if (status == BLOCKSPARSE_OK && !is_range(begin, end, plan.chunks)) {
      status = BLOCKSPARSE_BAD_SCHEDULE;
    }
    for (int32_t c = begin; status == BLOCKSPARSE_OK && c < end; ++c) {
      gemm_chunk chunk;
      status = plan.rows_of(c, INT32_MAX, rows, &chunk);  // no operand has a row for each block
      for (int32_t i = 0; status == BLOCKSPARSE_OK && i < chunk.rows.count; ++i) {
        row_function(int64_t{chunk.rows[i]});
      }
    }
    return status;
  }
};

// Sizes and operands of both functions: x, rows of n, is read or written beside z.
blocksparse_status check(const activation_kind& kind, const row_selection& selection, int32_t n,
                         const float* z, int64_t ldz, const float* x, int64_t ldx) {
  if (kind.gated && n > INT32_MAX / 2) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (!is_range(selection.column_begin, selection.column_end, n)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  return first_error(check_rows(z, selection.rows, kind.gated ? 2 * n : n, ldz),
                     check_rows(x, selection.rows, n, ldx));
}

// Whether two factors have a product that floats cannot hold, or only in part.
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

// As kernels.differentiate, with a factor that is no float. Such are rare: it need not be fast.
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

int32_t blocksparse_activation_f32(int32_t isa, int32_t activation, const int32_t* schedule,
                                   int64_t schedule_length, int32_t begin, int32_t end,
                                   int32_t column_begin, int32_t column_end, int32_t n,
                                   const float* z, int64_t ldz, const float* gate, float* a,
                                   int64_t lda, int64_t rows) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  activation_kind kind;
  if (!parse_activation(activation, &kind)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const row_selection selection = {schedule,     schedule_length, begin, end,
                                   column_begin, column_end,      rows};
  const blocksparse_status status = check(kind, selection, n, z, ldz, a, lda);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  return selection.for_each_row([&](int64_t r) {
    if (n == 0) {
      return;  // operands may be null, to which no offset may be added
    }
    const float* const from = z + r * ldz + column_begin;
    activation_row row;
    row.z = from;
    row.second = kind.gated ? from + n : nullptr;
    row.n = column_end - column_begin;
    row.gate = gate == nullptr ? 1.0f : gate[r];
    row.a = a + r * lda + column_begin;
    kernels->activate(kind.function, row);
  });
}

int32_t blocksparse_activation_gradient_f32(
    int32_t isa, int32_t activation, const int32_t* schedule, int64_t schedule_length,
    int32_t begin, int32_t end, int32_t column_begin, int32_t column_end, int32_t n, const float* z,
    int64_t ldz, const float* gate, float alpha, const float* grad_a, int64_t ld_grad_a,
    int32_t accumulate, float* grad_z, int64_t ld_grad_z, float* grad_gate, int64_t rows) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  activation_kind kind;
  if (!parse_activation(activation, &kind) || !is_flag(accumulate)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const row_selection selection = {schedule,     schedule_length, begin, end,
                                   column_begin, column_end,      rows};
  const blocksparse_status status =
      first_error(check(kind, selection, n, z, ldz, grad_a, ld_grad_a),
                  check(kind, selection, n, grad_z, ld_grad_z, grad_a, ld_grad_a));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (grad_gate != nullptr && (column_begin != 0 || column_end != n)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  return selection.for_each_row([&](int64_t r) {
    if (n == 0) {  // operands may be null, to which no offset may be added
      if (grad_gate != nullptr && accumulate == 0) {
        grad_gate[r] = 0.0f;
      }
      return;
    }
    const float* const from = z + r * ldz + column_begin;
    float* const to = grad_z + r * ld_grad_z + column_begin;
    activation_gradient_row row;
    row.z = from;
    row.second = kind.gated ? from + n : nullptr;
    row.n = column_end - column_begin;
    row.gate = gate == nullptr ? alpha : alpha * gate[r];
    row.grad_a = grad_a + r * ld_grad_a + column_begin;
    row.accumulate = accumulate == 1;
    row.grad_z = to;
    row.grad_second = kind.gated ? to + n : nullptr;
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
