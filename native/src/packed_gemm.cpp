// SPDX-License-Identifier: Apache-2.0
//
// Products of rounded rows with weights in panels; see packed/panels.h.
#include <algorithm>

#include "activation_kind.h"
#include "blocksparse/blocksparse.h"
#include "checks.h"
#include "initial_rows.h"
#include "kernels/kernel_table.h"
#include "packed/panels.h"
#include "schedule.h"

namespace blocksparse {
namespace {

using packed::kInputs;
using packed::kOutputs;
using packed::row_format;
using packed::weight_type;

// Returns false if no panels hold weights of this type. Both enumerations have one order.
bool packed_type(int32_t type, weight_type* packed) {
  static_assert(
      BLOCKSPARSE_IQ4_XS - BLOCKSPARSE_BFLOAT16 == static_cast<int32_t>(weight_type::iq4_xs),
      "the types of blocksparse.h are those of panels");
  if (type < BLOCKSPARSE_BFLOAT16 || type > BLOCKSPARSE_IQ4_XS) {
    return false;
  }
  *packed = static_cast<weight_type>(type - BLOCKSPARSE_BFLOAT16);
  return true;
}

bool parse_row_format(int32_t format, row_format* parsed) {
  *parsed = static_cast<row_format>(format);
  return format >= BLOCKSPARSE_ROWS_OF_GROUPS && format <= BLOCKSPARSE_ROWS_OF_BFLOAT16;
}

// Checks rounded rows of k numbers; their number fits an index.
blocksparse_status check_rounded(const void* rounded, int64_t rows, int32_t k) {
  if (k < 0 || rows < 0 || rows > INT32_MAX) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  if (rounded == nullptr && rows > 0 && k > 0) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  return reinterpret_cast<uintptr_t>(rounded) % sizeof(float) == 0 ? BLOCKSPARSE_OK
                                                                   : BLOCKSPARSE_BAD_ARGUMENT;
}

packed::rounded_rows rounded_rows_at(void* rounded, row_format format, int64_t rows, int32_t k) {
  return packed::rows_at(rounded, format, rows, packed::groups_of(k));
}

// The weights of a product, and the initial sums.
struct weights_and_bias {
  blocksparse_blocks w;
  int32_t rows_format;
  blocksparse_rows bias;

  // set by the checks
  weight_type type = weight_type::int8;
  row_format format = row_format::groups;

  blocksparse_status check() {
    if (!packed_type(w.type, &type) || w.transposed != 0 ||
        (type != weight_type::int8 && w.scales != nullptr) ||
        !parse_row_format(rows_format, &format) || !packed::takes(type, format)) {
      return BLOCKSPARSE_BAD_ARGUMENT;
    }
    if (w.in_size < 0 || w.out_size < 0 || w.in_blocks < 0 || w.out_blocks < 0) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    const int64_t blocks = int64_t{w.in_blocks} * w.out_blocks;
    const int64_t block_bytes = packed::packed_bytes(type, w.in_size, w.out_size);
    const bool scaled = type == weight_type::int8 && w.in_size > 0;
    if (distance(blocks + 1, block_bytes) < 0 || (scaled && distance(blocks + 1, w.out_size) < 0) ||
        (bias.data != nullptr && bias.count < w.out_blocks)) {
      return BLOCKSPARSE_BAD_SIZE;
    }
    if (blocks > 0 && block_bytes > 0 && (w.data == nullptr || (scaled && w.scales == nullptr))) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    return bias.data == nullptr ? BLOCKSPARSE_OK : check_rows(bias, w.out_size);
  }

  const float* bias_of(int32_t write_block) const {
    return bias.data == nullptr ? nullptr : bias.data + write_block * bias.stride;
  }

  // Makes a product multiply by the columns of a block from `begin` on, the first of a panel: its
  // outputs are counted from there.
  void multiply_by(int32_t read_block, int32_t write_block, int32_t begin,
                   packed::panel_product* product) const {
    const int64_t block = int64_t{read_block} * w.out_blocks + write_block;
    product->panels = static_cast<const uint8_t*>(w.data) +
                      block * packed::packed_bytes(type, w.in_size, w.out_size) +
                      packed::packed_bytes(type, w.in_size, begin);
    product->output_scales = w.scales == nullptr ? nullptr : w.scales + block * w.out_size + begin;
  }
};

// Rows between two products that share what is read of a block, in the first-level cache.
constexpr int32_t kRowsBetween = 96;

// Groups of columns at a time: more of them for fewer rows, to read panels that lie end to end.
constexpr int64_t kMostGroupsBetween = 8;

// The sums of some groups of columns, for rows of one chunk, and the sums that they are multiplied
// by.
struct sums_between {
  alignas(64) float first[kRowsBetween * kInputs];
  // Starts at the panel that holds the first of them.
  alignas(64) float second[kRowsBetween * (kInputs + kOutputs)];
};

// The first product of rows, and the use of its sums.
struct product_between {
  const kernel_table& kernels;
  const packed::kernels& products;
  const gemm_schedule& plan;
  const weights_and_bias& w;
  packed::rounded_rows x;
  activation_kind activation;
  int32_t n;  // columns of the activation's result
  const float* gate;
  packed::rounded_rows to;
  float* to_floats;  // used instead, rows of n, where rows are rounded as a whole

  // Computes columns [begin, end) of the sums of `rows` rows of a chunk; begin is the first column
  // of a panel.
  void add_up(const gemm_chunk& chunk, int32_t first_row, int32_t rows, int32_t begin, int32_t end,
              float* sums, int64_t ld) const {
    const float* const bias = w.bias_of(chunk.write_block);
    for (int32_t r = 0; r < rows; ++r) {
      float* const row = sums + r * ld;
      if (bias == nullptr) {
        std::fill(row, row + end - begin, 0.0f);
      } else {
        std::copy(bias + begin, bias + end, row);
      }
    }
    int32_t all[kRowsBetween], written[kRowsBetween];
    for (int32_t i = 0; i < kRowsBetween; ++i) {
      all[i] = i;
    }
    packed::panel_product product = {};
    product.output_end = end - begin;
    product.x = x;
    product.rows = written;
    product.position = all;
    product.c = sums;
    product.ldc = ld;
    for (int32_t s = 0; s < chunk.segment_count && w.w.in_size > 0; ++s) {
      const gemm_segment segment = plan.segment(chunk, s);
      const int32_t* const positions = segment.write.position;
      const int32_t* const positions_end = positions + segment.write.count;
      const int32_t* from = std::lower_bound(positions, positions_end, first_row);
      const int32_t* const last = std::lower_bound(from, positions_end, first_row + rows);
      w.multiply_by(segment.read_block, chunk.write_block, begin, &product);
      for (; from < last; from += product.count) {
        product.count = static_cast<int32_t>(std::min<int64_t>(last - from, kRowsBetween));
        product.read = segment.read.data + (from - positions);
        std::transform(from, from + product.count, written,
                       [&](int32_t position) { return position - first_row; });
        products.multiply(w.type, product);
      }
    }
  }

  // Computes columns [begin, end) of these rows; begin is the first column of a group.
  void run(const gemm_chunk& chunk, int32_t first_row, int32_t rows, int32_t begin, int32_t end,
           sums_between* sums) const {
    const int32_t groups = packed::groups_of(end - begin);
    const int32_t stride = groups * kInputs, stride_of_second = stride + kOutputs;
    add_up(chunk, first_row, rows, begin, end, sums->first, stride);
    const float* second = nullptr;
    if (activation.gated) {
      const int32_t panel = (n + begin) / kOutputs * kOutputs;
      add_up(chunk, first_row, rows, panel, n + end, sums->second, stride_of_second);
      second = sums->second + (n + begin - panel);
    }
    for (int32_t r = 0; r < rows; ++r) {
      const int32_t row = chunk.rows[first_row + r];
      float* const z = sums->first + r * stride;
      activation_row values;
      values.z = z;
      values.second = second == nullptr ? nullptr : second + r * stride_of_second;
      values.n = end - begin;
      values.gate = gate == nullptr ? 1.0f : gate[row];
      values.a = to_floats == nullptr ? z : to_floats + int64_t{row} * n + begin;
      kernels.activate(activation.function, values);
      if (to_floats != nullptr) {
        continue;
      }
      products.round_row(z, end - begin, to.part(row, begin / kInputs, groups), 0);
    }
  }
};

}  // namespace
}  // namespace blocksparse

int32_t blocksparse_round_rows_f32(int32_t isa, int32_t format, int32_t row_begin, int32_t row_end,
                                   int32_t k, const blocksparse_rows* a, void* rounded) {
  using namespace blocksparse;
  if (kernels_for(isa) == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  row_format of_rows;
  if (!parse_row_format(format, &of_rows)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (any_null(a)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  const blocksparse_status status =
      first_error(check_rows(*a, k), check_rounded(rounded, a->count, k));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(row_begin, row_end, static_cast<int32_t>(a->count))) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const packed::kernels& kernels = packed::fastest(isa);
  const packed::rounded_rows to = rounded_rows_at(rounded, of_rows, a->count, k);
  for (int32_t r = row_begin; r < row_end && k > 0; ++r) {
    kernels.round_row(a->data + r * a->stride, k, to, r);
  }
  return BLOCKSPARSE_OK;
}

int32_t blocksparse_packed_gemm_f32(int32_t isa, const blocksparse_part* part, int32_t format,
                                    const void* rounded, int64_t a_rows,
                                    const blocksparse_blocks* w, const blocksparse_sums* c) {
  using namespace blocksparse;
  if (kernels_for(isa) == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, w, c)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  if (!is_flag(c->accumulate) || (c->accumulate == 1 && c->bias.data != nullptr)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  const int32_t k = w->in_size, n = w->out_size;
  const int32_t column_begin = part->column_begin, column_end = part->column_end;
  const blocksparse_rows to = c->rows;
  weights_and_bias operands = {*w, format, c->bias};
  gemm_schedule plan;
  blocksparse_status status = first_error(operands.check(), gemm_schedule::parse(*part, &plan),
                                          check_rounded(rounded, a_rows, k), check_rows(to, n));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(column_begin, column_end, n) || column_begin % kOutputs != 0 ||
      (column_end % kOutputs != 0 && column_end != n)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  status = plan.check(part->begin, part->end, w->in_blocks, w->out_blocks, a_rows, to.count);
  if (status != BLOCKSPARSE_OK || column_begin == column_end) {
    return status;
  }

  const packed::kernels& kernels = packed::fastest(isa);
  packed::panel_product product = {};
  product.output_begin = column_begin;
  product.output_end = column_end;
  void* const read = const_cast<void*>(rounded);  // read-only
  product.x = rounded_rows_at(read, operands.format, a_rows, k);
  product.c = to.data;
  product.ldc = to.stride;
  for (int32_t i = part->begin; i < part->end; ++i) {
    const gemm_chunk chunk = plan.chunk(i);
    if (c->accumulate == 0) {
      const float* const start = operands.bias_of(chunk.write_block);
      initialise_rows(chunk.rows, start == nullptr ? nullptr : start + column_begin, column_begin,
                      column_end - column_begin, to);
    }
    for (int32_t s = 0; s < chunk.segment_count && k > 0; ++s) {
      const gemm_segment segment = plan.segment(chunk, s);
      operands.multiply_by(segment.read_block, chunk.write_block, 0, &product);
      product.read = segment.read.data;
      product.rows = segment.write.rows;
      product.position = segment.write.position;
      product.count = segment.read.count;
      kernels.multiply(operands.type, product);
    }
  }
  return BLOCKSPARSE_OK;
}

int32_t blocksparse_packed_activation_f32(int32_t isa, const blocksparse_part* part, int32_t format,
                                          const void* rounded, int64_t a_rows,
                                          const blocksparse_blocks* w, const blocksparse_rows* bias,
                                          int32_t activation, const float* gate, void* to,
                                          int64_t to_rows) {
  using namespace blocksparse;
  const kernel_table* const kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return BLOCKSPARSE_UNSUPPORTED_ISA;
  }
  if (any_null(part, w, bias)) {
    return BLOCKSPARSE_NULL_POINTER;
  }
  activation_kind kind;
  if (!parse_activation(activation, &kind)) {
    return BLOCKSPARSE_BAD_ARGUMENT;
  }
  if (kind.gated && w->out_size % 2 != 0) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const int32_t k = w->in_size, n = kind.gated ? w->out_size / 2 : w->out_size;
  const int32_t column_begin = part->column_begin, column_end = part->column_end;
  weights_and_bias operands = {*w, format, *bias};
  gemm_schedule plan;
  blocksparse_status status =
      first_error(operands.check(), gemm_schedule::parse(*part, &plan),
                  check_rounded(rounded, a_rows, k), check_rounded(to, to_rows, n));
  if (status != BLOCKSPARSE_OK) {
    return status;
  }
  if (!is_range(column_begin, column_end, n) || column_begin % kInputs != 0 ||
      (column_end % kInputs != 0 && column_end != n)) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  status = plan.check(part->begin, part->end, w->in_blocks, w->out_blocks, a_rows, to_rows);
  if (status != BLOCKSPARSE_OK || column_begin == column_end) {
    return status;
  }

  void* const read = const_cast<void*>(rounded);  // read-only
  const bool whole = packed::is_whole(operands.format);
  const product_between product = {
      *kernels,
      packed::fastest(isa),
      plan,
      operands,
      rounded_rows_at(read, operands.format, a_rows, k),
      kind,
      n,
      gate,
      rounded_rows_at(whole ? nullptr : to, operands.format, to_rows, n),
      whole ? static_cast<float*>(to) : nullptr};
  sums_between sums;
  for (int32_t i = part->begin; i < part->end; ++i) {
    const gemm_chunk chunk = plan.chunk(i);
    const int64_t rows = chunk.rows.count;
    const int64_t parts = (rows + kRowsBetween - 1) / kRowsBetween;
    const int64_t groups =
        std::clamp(kRowsBetween / std::max<int64_t>(rows, 1), int64_t{1}, kMostGroupsBetween);
    const int32_t width = static_cast<int32_t>(groups) * kInputs;
    for (int32_t begin = column_begin, end; begin < column_end; begin = end) {
      end = begin + std::min(width, column_end - begin);
      for (int64_t piece = 0; piece < parts; ++piece) {
        const int32_t first_row = static_cast<int32_t>(rows * piece / parts);
        const int32_t end_row = static_cast<int32_t>(rows * (piece + 1) / parts);
        product.run(chunk, first_row, end_row - first_row, begin, end, &sums);
      }
    }
  }
  return BLOCKSPARSE_OK;
}

const char* blocksparse_packed_name(int32_t isa) {
  using namespace blocksparse;
  return kernels_for(isa) == nullptr ? nullptr : packed::fastest(isa).name;
}
