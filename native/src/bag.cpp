// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "optimizer_numbers.h"

namespace blocksparse {
namespace {

// Bags, and the table that their entries name rows of.
struct bag_operands {
  const int32_t* offsets;
  int32_t bags;
  const int32_t* indices;
  const float* values;
  int32_t entries;
  int32_t n;
  const void* a;
  int64_t a_rows;
  int64_t lda;
  element_type a_type = element_type::float32;
  const float* scales = nullptr;

  blocksparse_status check(int32_t begin, int32_t end) const {
    if (bags < 0 || entries < 0 || !is_range(begin, end, bags)) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    if (offsets == nullptr || (indices == nullptr && entries > 0)) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    return first_error(check_rows(a, a_rows, n, lda),
                       a_type == element_type::int8 && scales == nullptr && a_rows > 0 && n > 0
                           ? BLOCKSPARSE_NULL_POINTER
                           : BLOCKSPARSE_OK);
  }

  // Row i of the table. Rows without elements may come without memory, to which nothing may be
  // added.
  const void* row(int32_t i) const {
    return n == 0 ? a : static_cast<const char*>(a) + i * lda * bytes_of(a_type);
  }

  float scale_of(int32_t i) const { return scales == nullptr ? 1.0f : scales[i]; }

  bool names_rows_of_a(int32_t first, int32_t last) const {
    bool inside = true;  // without a branch for each entry
    for (int32_t e = first; e < last; ++e) {
      inside &= indices[e] >= 0 && indices[e] < a_rows;
    }
    return inside;
  }

  bag_work sum(int32_t first, int32_t last, float scale, float* c) const {
    return {indices + first,
            values == nullptr ? nullptr : values + first,
            last - first,
            entries - first,
            a_type,
            a,
            lda,
            scales,
            n,
            scale,
            c};
  }

  // Some columns of the row that entry e names, as floats: the sum of that one row.
  bag_work part_of_row(int32_t e, int32_t column, int32_t width, float* to) const {
    bag_work work = sum(e, e + 1, 1.0f, to);
    work.values = nullptr;
    work.known = 1;
    work.a = static_cast<const char*>(a) + column * bytes_of(a_type);
    work.n = width;
    return work;
  }
};

// Checks bag after bag and calls bag_function(r, first, last), which may refuse it as well.
template <typename BagFunction>
blocksparse_status for_each_bag(const bag_operands& operands, int32_t begin, int32_t end,
                                const BagFunction& bag_function) {
  for (int32_t r = begin; r < end; ++r) {
    const int32_t first = operands.offsets[r], last = operands.offsets[r + 1];
    if (!is_range(first, last, operands.entries)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    if (!operands.names_rows_of_a(first, last)) {
      return BLOCKSPARSE_BAD_INDEX;
    }
    const blocksparse_status status = bag_function(r, first, last);
    if (status != BLOCKSPARSE_OK) {
      return status;
    }
  }
  return BLOCKSPARSE_OK;
}

bool is_reduction(int32_t reduction) {
  return reduction >= BLOCKSPARSE_BAG_SUM && reduction <= BLOCKSPARSE_BAG_ROOT_MEAN;
}

double factor(int32_t reduction, int32_t count) {
  if (reduction == BLOCKSPARSE_BAG_SUM || count == 0) {
    return 1.0;
  }
  const double number = static_cast<double>(count);
  return 1.0 / (reduction == BLOCKSPARSE_BAG_MEAN ? number : std::sqrt(number));
}

// Columns of rows that are summed at a time where it need not be fast.
constexpr int32_t kPart = 64;

// A sum of rows, or a product with one, may be beyond all floats though a factor below 1 times that
// is not. Such are rare, and so are tables that are not finite.
void sum_in_double(const kernel_table& kernels, const bag_operands& bags, int32_t first,
                   int32_t last, double factor, float* c) {
  float part[kPart];
  for (int32_t column = 0; column < bags.n; column += std::min(kPart, bags.n - column)) {
    const int32_t width = std::min(kPart, bags.n - column);
    double sums[kPart] = {};
    for (int32_t e = first; e < last; ++e) {
      kernels.bag_sum(bags.part_of_row(e, column, width, part));
      const double value = bags.values == nullptr ? 1.0 : static_cast<double>(bags.values[e]);
      for (int32_t q = 0; q < width; ++q) {
        sums[q] += value * static_cast<double>(part[q]);
      }
    }
    for (int32_t q = 0; q < width; ++q) {
      c[column + q] = static_cast<float>(factor * sums[q]);
    }
  }
}

float dot_in_double(const kernel_table& kernels, const bag_operands& bags, int32_t e, double factor,
                    const float* y) {
  float part[kPart];
  double sum = 0.0;
  for (int32_t column = 0; column < bags.n; column += std::min(kPart, bags.n - column)) {
    const int32_t width = std::min(kPart, bags.n - column);
    kernels.bag_sum(bags.part_of_row(e, column, width, part));
    for (int32_t q = 0; q < width; ++q) {
      sum += static_cast<double>(part[q]) * static_cast<double>(y[column + q]);
    }
  }
  return static_cast<float>(factor * sum);
}

// Row r of rows of n, as bag_operands::row.
template <typename Float>
Float* row_at(Float* rows, int64_t r, int64_t ld, int32_t n) {
  return n == 0 ? rows : rows + r * ld;
}

constexpr int64_t kLineBytes = 64;  // of a cache line

// Elements to prefetch while the row before is worked on. Long rows are left to the processor's own
// prefetcher.
void prefetch_row(const void* row, int64_t bytes, int for_writing) {
  constexpr int64_t kMost = 8 * kLineBytes;
  for (int64_t at = 0; at < std::min(bytes, kMost); at += kLineBytes) {
    if (for_writing == 1) {
      __builtin_prefetch(static_cast<const char*>(row) + at, 1, 3);
    } else {
      __builtin_prefetch(static_cast<const char*>(row) + at, 0, 3);
    }
  }
}

// Rows of the table that are asked for ahead of their step.
constexpr int32_t kTargetsAhead = 4;

// Steps of the rows of a table by the sums of bags.
struct bag_steps {
  const kernel_table* kernels;
  bag_operands bags;
  const int32_t* targets;
  const int32_t* steps;
  float max_norm;
  step_work table;  // of a row, but for where its moments and weights begin
  int64_t w_rows;
  float* scratch;  // the gradient of a row

  blocksparse_status check(int32_t begin, int32_t end) const {
    if (!(max_norm > 0.0f)) {  // refuses NaN, too
      return BLOCKSPARSE_BAD_ARGUMENT;
    }
    const bool counts_steps = table.rule == update_rule::adam;
    if (targets == nullptr || (counts_steps && steps == nullptr) ||
        (scratch == nullptr && bags.n > 0) || (lacks_moment(table) && w_rows > 0 && bags.n > 0)) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    return first_error(bags.check(begin, end), check_rows(table.w, w_rows, bags.n, bags.n));
  }

  bool is_target(int32_t row) const { return row >= 0 && row < w_rows; }

  // The step of a row of the table.
  step_work row(int32_t target) const {
    const int64_t offset = int64_t{target} * bags.n;
    step_work work = table;
    work.moment1 = table.rule == update_rule::sgd ? nullptr : table.moment1 + offset;
    work.moment2 = table.rule == update_rule::adam ? table.moment2 + offset : nullptr;
    work.w = table.w + offset;
    return work;
  }

  void prefetch(int32_t r) const {
    if (!is_target(targets[r])) {
      return;
    }
    const step_work work = row(targets[r]);
    for (const float* const written : {work.w, work.moment1, work.moment2}) {
      if (written != nullptr) {
        prefetch_row(written, bags.n * bytes_of(element_type::float32), 1);
      }
    }
  }

  blocksparse_status run(int32_t r, int32_t first, int32_t last) const {
    if (!is_target(targets[r])) {
      return BLOCKSPARSE_BAD_INDEX;
    }
    const int64_t step = table.rule == update_rule::adam ? steps[r] : 1;
    if (step < 1) {
      return BLOCKSPARSE_BAD_ARGUMENT;
    }
    kernels->bag_sum(bags.sum(first, last, 1.0f, scratch));
    step_work work = row(targets[r]);
    if (std::isfinite(max_norm)) {
      const float length = norm(*kernels, bags.n, scratch);
      work.scale = length > max_norm ? max_norm / length : 1.0f;
    }
    kernels->step(prepared(work, step));
    return BLOCKSPARSE_OK;
  }
};

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_bag_sum_f32(int32_t isa, int32_t reduction, const int32_t* offsets,
                                int32_t bags, int32_t begin, int32_t end, const int32_t* indices,
                                const float* values, int32_t entries, int32_t n, int32_t a_type,
                                const void* a, int64_t a_rows, int64_t lda, const float* scales,
                                float* c, int64_t ldc) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (!is_reduction(reduction) || !is_stored(a_type, a, scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const bag_operands operands = {offsets, bags, indices, values, entries,
                                 n,       a,    a_rows,  lda,    static_cast<element_type>(a_type),
                                 scales};
  const blocksparse_status status =
      first_error(operands.check(begin, end), check_rows(c, bags, n, ldc));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  return for_each_bag(operands, begin, end, [&](int32_t r, int32_t first, int32_t last) {
    const double scale = factor(reduction, last - first);
    float* const c_row = row_at(c, r, ldc, n);
    const bool finite =
        kernels->bag_sum(operands.sum(first, last, static_cast<float>(scale), c_row));
    if (scale < 1.0 && !finite) {
      sum_in_double(*kernels, operands, first, last, scale, c_row);
    }
    return BLOCKSPARSE_OK;
  });
}

int32_t blocksparse_bag_dot_f32(int32_t isa, int32_t reduction, const int32_t* offsets,
                                int32_t bags, int32_t begin, int32_t end, const int32_t* indices,
                                int32_t entries, int32_t n, int32_t a_type, const void* a,
                                int64_t a_rows, int64_t lda, const float* scales, const float* y,
                                int64_t ldy, float* dots) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (!is_reduction(reduction) || !is_stored(a_type, a, scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const bag_operands operands = {offsets, bags, indices, nullptr, entries,
                                 n,       a,    a_rows,  lda,     static_cast<element_type>(a_type),
                                 scales};
  blocksparse_status status = first_error(operands.check(begin, end), check_rows(y, bags, n, ldy));
  if (status == BLOCKSPARSE_OK && dots == nullptr && entries > 0) {
    status = BLOCKSPARSE_NULL_POINTER;
  }
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  constexpr int32_t kRowsAhead = 8;
  const int64_t row_bytes = n * bytes_of(operands.a_type);
  return for_each_bag(operands, begin, end, [&](int32_t r, int32_t first, int32_t last) {
    const double scale = factor(reduction, last - first);
    const float* const y_row = row_at(y, r, ldy, n);
    for (int32_t e = first; e < last; ++e) {
      if (e < last - kRowsAhead) {
        prefetch_row(operands.row(indices[e + kRowsAhead]), row_bytes, 0);
        if (scales != nullptr) {
          __builtin_prefetch(scales + indices[e + kRowsAhead], 0, 3);
        }
      }
      const int32_t i = indices[e];
      dots[e] = static_cast<float>(scale) *
                kernels->dot(operands.a_type, n, operands.row(i), operands.scale_of(i), y_row);
      if (scale < 1.0 && !std::isfinite(dots[e])) {
        dots[e] = dot_in_double(*kernels, operands, e, scale, y_row);
      }
    }
    return BLOCKSPARSE_OK;
  });
}

int32_t blocksparse_bag_step_f32(int32_t isa, int32_t rule, const int32_t* offsets, int32_t bags,
                                 int32_t begin, int32_t end, const int32_t* indices,
                                 const float* values, int32_t entries, int32_t n, const float* a,
                                 int64_t a_rows, int64_t lda, const int32_t* targets,
                                 const int32_t* steps, float rate, float decay, float max_norm,
                                 float beta1, float beta2, float epsilon, float* moment1,
                                 float* moment2, float* w, int64_t w_rows, float* scratch) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (!is_rule(rule)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const step_work table = {static_cast<update_rule>(rule),
                           n,
                           rate,
                           1.0f,
                           decay,
                           beta1,
                           beta2,
                           epsilon,
                           scratch,
                           moment1,
                           moment2,
                           w};
  const bag_steps call = {kernels,  {offsets, bags, indices, values, entries, n, a, a_rows, lda},
                          targets,  steps,
                          max_norm, table,
                          w_rows,   scratch};
  const blocksparse_status status = call.check(begin, end);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  for (int32_t r = begin; r < end && r - begin < kTargetsAhead; ++r) {
    call.prefetch(r);
  }
  return for_each_bag(call.bags, begin, end, [&](int32_t r, int32_t first, int32_t last) {
    if (r < end - kTargetsAhead) {
      call.prefetch(r + kTargetsAhead);
    }
    return call.run(r, first, last);
  });
}
