// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "kernels/kernel_table.h"
#include "optimizer_numbers.h"

namespace blocksparse {
namespace {

// Bags, and the table whose rows their entries name.
struct bag_operands {
  blocksparse_bags bags;
  blocksparse_table a;

  element_type a_type() const { return static_cast<element_type>(a.type); }

  blocksparse_status check(int32_t begin, int32_t end) const {
    if (bags.count < 0 || bags.entries < 0 || !is_range(begin, end, bags.count)) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    if (bags.offsets == nullptr || (bags.indices == nullptr && bags.entries > 0)) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    return first_error(
        check_rows(a.data, a.count, a.size, a.stride),
        a_type() == element_type::int8 && a.scales == nullptr && a.count > 0 && a.size > 0
            ? BLOCKSPARSE_NULL_POINTER
            : BLOCKSPARSE_OK);
  }

  // Row i of the table. Without elements the table may be null, and nothing may be added to that.
  const void* row(int32_t i) const {
    return a.size == 0 ? a.data
                       : static_cast<const char*>(a.data) + i * a.stride * bytes_of(a_type());
  }

  float scale_of(int32_t i) const { return a.scales == nullptr ? 1.0f : a.scales[i]; }

  bool names_rows_of_a(int32_t first, int32_t last) const {
    bool inside = true;  // without a branch for each entry
    for (int32_t e = first; e < last; ++e) {
      inside &= bags.indices[e] >= 0 && bags.indices[e] < a.count;
    }
    return inside;
  }

  bag_work sum(int32_t first, int32_t last, float scale, float* c) const {
    return {bags.indices + first,
            bags.values == nullptr ? nullptr : bags.values + first,
            last - first,
            bags.entries - first,
            a_type(),
            a.data,
            a.stride,
            a.scales,
            a.size,
            scale,
            c};
  }

  // Widens some columns of the row that entry e names to floats: the sum of that one row.
  bag_work part_of_row(int32_t e, int32_t column, int32_t width, float* to) const {
    bag_work work = sum(e, e + 1, 1.0f, to);
    work.values = nullptr;
    work.known = 1;
    work.a = static_cast<const char*>(a.data) + column * bytes_of(a_type());
    work.n = width;
    return work;
  }
};

// Checks bag after bag and calls bag_function(r, first, last), which may reject the bag, too.
template <typename BagFunction>
blocksparse_status for_each_bag(const bag_operands& operands, int32_t begin, int32_t end,
                                const BagFunction& bag_function) {
  for (int32_t r = begin; r < end; ++r) {
    const int32_t first = operands.bags.offsets[r], last = operands.bags.offsets[r + 1];
    if (!is_range(first, last, operands.bags.entries)) {
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

// Columns summed at a time where speed does not matter.
constexpr int32_t kPart = 64;

// A sum of rows, or a product with one, may overflow although the product with a factor below 1
// does not. This is rare, and so are tables that are not finite.
void sum_in_double(const kernel_table& kernels, const bag_operands& of, int32_t first, int32_t last,
                   double factor, float* c) {
  float part[kPart];
  const int32_t n = of.a.size;
  for (int32_t column = 0; column < n; column += std::min(kPart, n - column)) {
    const int32_t width = std::min(kPart, n - column);
    double sums[kPart] = {};
    for (int32_t e = first; e < last; ++e) {
      kernels.bag_sum(of.part_of_row(e, column, width, part));
      const double value = of.bags.values == nullptr ? 1.0 : static_cast<double>(of.bags.values[e]);
      for (int32_t q = 0; q < width; ++q) {
        sums[q] += value * static_cast<double>(part[q]);
      }
    }
    for (int32_t q = 0; q < width; ++q) {
      c[column + q] = static_cast<float>(factor * sums[q]);
    }
  }
}

float dot_in_double(const kernel_table& kernels, const bag_operands& of, int32_t e, double factor,
                    const float* y) {
  float part[kPart];
  double sum = 0.0;
  const int32_t n = of.a.size;
  for (int32_t column = 0; column < n; column += std::min(kPart, n - column)) {
    const int32_t width = std::min(kPart, n - column);
    kernels.bag_sum(of.part_of_row(e, column, width, part));
    for (int32_t q = 0; q < width; ++q) {
      sum += static_cast<double>(part[q]) * static_cast<double>(y[column + q]);
    }
  }
  return static_cast<float>(factor * sum);
}

// Row r of rows of n; see bag_operands::row.
float* row_at(const blocksparse_rows& rows, int64_t r, int32_t n) {
  return n == 0 ? rows.data : rows.data + r * rows.stride;
}

constexpr int64_t kLineBytes = 64;  // the bytes of a cache line

// Prefetches a row while the one before it is worked on. Long rows are left to the processor's own
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

// The number of steps that rows of the table are prefetched ahead.
constexpr int32_t kTargetsAhead = 4;

// The steps of the rows of a table by the sums of bags.
struct bag_steps {
  const kernel_table* kernels;
  bag_operands operands;
  const int32_t* targets;
  const int32_t* steps;
  float max_norm;
  step_work table;  // the step of a row, except where its moments and weights begin
  int64_t w_count;  // elements
  float* scratch;   // the gradient of a row

  blocksparse_status check(int32_t begin, int32_t end) const {
    if (!(max_norm > 0.0f)) {  // rejects NaN, too
      return BLOCKSPARSE_BAD_ARGUMENT;
    }
    const bool counts_steps = table.rule == update_rule::adam;
    if (targets == nullptr || (counts_steps && steps == nullptr) ||
        (scratch == nullptr && n() > 0) || (lacks_moment(table) && w_count > 0 && n() > 0)) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    if (!is_count(w_count)) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    return first_error(operands.check(begin, end), table.w == nullptr && w_count > 0
                                                       ? BLOCKSPARSE_NULL_POINTER
                                                       : BLOCKSPARSE_OK);
  }

  int32_t n() const { return operands.a.size; }

  // Rows without elements are unlimited in number.
  bool is_target(int32_t row) const { return row >= 0 && (int64_t{row} + 1) * n() <= w_count; }

  // The step of a row of the table.
  step_work row(int32_t target) const {
    const int64_t offset = int64_t{target} * n();
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
        prefetch_row(written, n() * bytes_of(element_type::float32), 1);
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
    kernels->bag_sum(operands.sum(first, last, 1.0f, scratch));
    step_work work = row(targets[r]);
    if (std::isfinite(max_norm)) {
      const float length = norm(*kernels, n(), scratch);
      work.scale = length > max_norm ? max_norm / length : 1.0f;
    }
    kernels->step(prepared(work, step));
    return BLOCKSPARSE_OK;
  }
};

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_bag_sum_f32(int32_t isa, int32_t reduction, const blocksparse_bags* bags,
                                int32_t begin, int32_t end, const blocksparse_table* a,
                                const blocksparse_rows* c) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(bags, a, c)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_reduction(reduction) || !is_stored(a->type, a->data, a->scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const bag_operands operands = {*bags, *a};
  const blocksparse_rows to = *c;
  const blocksparse_status status =
      first_error(operands.check(begin, end), check_rows(to, a->size),
                  to.count < bags->count ? BLOCKSPARSE_BAD_SIZE : BLOCKSPARSE_OK);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  return for_each_bag(operands, begin, end, [&](int32_t r, int32_t first, int32_t last) {
    const double scale = factor(reduction, last - first);
    float* const c_row = row_at(to, r, operands.a.size);
    const bool finite =
        kernels->bag_sum(operands.sum(first, last, static_cast<float>(scale), c_row));
    if (scale < 1.0 && !finite) {
      sum_in_double(*kernels, operands, first, last, scale, c_row);
    }
    return BLOCKSPARSE_OK;
  });
}

int32_t blocksparse_bag_dot_f32(int32_t isa, int32_t reduction, const blocksparse_bags* bags,
                                int32_t begin, int32_t end, const blocksparse_table* a,
                                const blocksparse_rows* y, float* dots) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(bags, a, y)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_reduction(reduction) || !is_stored(a->type, a->data, a->scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const bag_operands operands = {*bags, *a};
  const blocksparse_rows of_y = *y;
  const blocksparse_status status =
      first_error(operands.check(begin, end), check_rows(of_y, a->size),
                  of_y.count < bags->count ? BLOCKSPARSE_BAD_SIZE : BLOCKSPARSE_OK,
                  dots == nullptr && bags->entries > 0 ? BLOCKSPARSE_NULL_POINTER : BLOCKSPARSE_OK);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  constexpr int32_t kRowsAhead = 8;
  const int32_t n = operands.a.size;
  const int32_t* const indices = operands.bags.indices;
  const float* const scales = operands.a.scales;
  const element_type type = operands.a_type();
  const int64_t row_bytes = n * bytes_of(type);
  return for_each_bag(operands, begin, end, [&](int32_t r, int32_t first, int32_t last) {
    const double scale = factor(reduction, last - first);
    const float* const y_row = row_at(of_y, r, n);
    for (int32_t e = first; e < last; ++e) {
      if (e < last - kRowsAhead) {
        prefetch_row(operands.row(indices[e + kRowsAhead]), row_bytes, 0);
        if (scales != nullptr) {
          __builtin_prefetch(scales + indices[e + kRowsAhead], 0, 3);
        }
      }
      const int32_t i = indices[e];
      dots[e] = static_cast<float>(scale) *
                kernels->dot(type, n, operands.row(i), operands.scale_of(i), y_row);
      if (scale < 1.0 && !std::isfinite(dots[e])) {
        dots[e] = dot_in_double(*kernels, operands, e, scale, y_row);
      }
    }
    return BLOCKSPARSE_OK;
  });
}

int32_t blocksparse_bag_step_f32(int32_t isa, const blocksparse_optimizer* optimizer,
                                 const blocksparse_bags* bags, int32_t begin, int32_t end,
                                 const blocksparse_table* a, const int32_t* targets,
                                 const int32_t* steps, const blocksparse_parameters* w,
                                 float* scratch) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(optimizer, bags, a, w)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_rule(optimizer->rule) || a->type != BLOCKSPARSE_FLOAT32 ||
      !is_stored(a->type, a->data, a->scales)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  step_work table = work_of(*optimizer, 1.0f, scratch, *w);
  table.count = a->size;
  const bag_steps call = {kernels, {*bags, *a}, targets, steps, optimizer->max_norm,
                          table,   w->count,    scratch};
  const blocksparse_status status = call.check(begin, end);
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  for (int32_t r = begin; r < end && r - begin < kTargetsAhead; ++r) {
    call.prefetch(r);
  }
  return for_each_bag(call.operands, begin, end, [&](int32_t r, int32_t first, int32_t last) {
    if (r < end - kTargetsAhead) {
      call.prefetch(r + kTargetsAhead);
    }
    return call.run(r, first, last);
  });
}
