// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer target: no schedule and no sizes make a call touch memory outside the operands. The
// first bytes of the input are the sizes, the rest is the schedule. Operands have exactly these
// sizes, so that AddressSanitizer reports an access to one element more.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "blocksparse/blocksparse.h"

namespace {

class input {
 public:
  input(const uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  // Returns a byte as a signed number: mostly small sizes, some negative ones.
  int32_t next() {
    if (size_ == 0) {
      return 0;
    }
    --size_;
    return static_cast<int8_t>(*data_++);
  }

  // Returns the rest as an array.
  std::vector<int32_t> rest(int32_t magic) {
    std::vector<int32_t> list{magic};
    while (size_ > 0) {
      list.push_back(element());
    }
    return list;
  }

  // Returns that many elements, 0 beyond the end of the input; none if the number is negative.
  std::vector<int32_t> list(int64_t count) {
    std::vector<int32_t> all(static_cast<std::size_t>(count > 0 ? count : 0));
    for (int32_t& each : all) {
      each = element();
    }
    return all;
  }

 private:
  // Returns one byte, except for numbers that must be large.
  int32_t element() {
    const int32_t value = next();
    return value == -128 ? INT32_MAX : value == -127 ? INT32_MIN : value;
  }

  const uint8_t* data_;
  std::size_t size_;
};

// Limits operands: large ones would only make a run slow. Negative sizes stay unchanged.
int32_t limited(int32_t value, int32_t most) { return value > most ? value % (most + 1) : value; }

int64_t positive(int64_t value) { return value > 0 ? value : 0; }

std::vector<float> operand(int64_t rows, int64_t stride, int64_t size) {
  // Rows that far apart are rejected, unless there is only one.
  const bool apart = rows > 1 && stride < INT64_MAX;
  const int64_t elements =
      rows > 0 ? (apart ? (rows - 1) * positive(stride) : 0) + positive(size) : 0;
  return std::vector<float>(static_cast<std::size_t>(elements), 1.0f);
}

std::size_t bytes_of(int32_t type) {
  return type == BLOCKSPARSE_FLOAT32 ? 4 : type == BLOCKSPARSE_INT8 ? 1 : 2;
}

int32_t last_isa() {
  int32_t isa = 0;
  for (int32_t i = 0; blocksparse_isa_name(i) != nullptr; ++i) {
    isa = blocksparse_isa_supported(i) == 1 ? i : isa;
  }
  return isa;
}

}  // namespace

// Faults of a call besides its sizes and its schedule.
enum oddity {
  kNullX = 1,
  kNullY = 2,
  kNullW = 4,
  kNullScratch = 8,
  kFarApart = 16,
  kNoWeights = 32
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  input in(data, size);
  const int32_t kind = in.next(), options = in.next(), begin = in.next(), end = in.next(),
                part_begin = in.next(), part_end = in.next(), size1 = limited(in.next(), 80),
                size2 = limited(in.next(), 80), rows1 = in.next(), rows2 = in.next(),
                blocks1 = limited(in.next(), 4), blocks2 = limited(in.next(), 4),
                padding = in.next() & 3, odd = in.next();
  const bool transposed = (options & 1) != 0;
  const int32_t accumulate = options >> 1 & 1;
  const int32_t path = (options >> 2) % 3;
  const int32_t isa = odd < 0 ? odd : (options & 64) != 0 ? BLOCKSPARSE_PORTABLE : last_isa();
  const int64_t ld1 = (odd & kFarApart) != 0 ? INT64_MAX : size1 + padding;
  const int64_t ld2 = (odd & kFarApart) != 0 ? INT64_MAX : size2 + padding;
  const int64_t block_rows = transposed ? size2 : size1;
  const int64_t block_ld = (transposed ? size1 : size2) + padding;
  const int64_t stride2 = positive(block_rows) * positive(block_ld);
  const int64_t stride1 = stride2 * positive(blocks2);
  std::vector<float> x = operand(rows1, ld1, size1), y = operand(rows2, ld2, size2),
                     w(static_cast<std::size_t>(stride1 * positive(blocks1)), 1.0f),
                     scratch(static_cast<std::size_t>(positive(size1) + positive(size2)));
  float* const x_data = (odd & kNullX) != 0 ? nullptr : x.data();
  float* const y_data = (odd & kNullY) != 0 ? nullptr : y.data();
  float* const w_data = (odd & kNullW) != 0 ? nullptr : w.data();
  float* const scratch_data = (odd & kNullScratch) != 0 ? nullptr : scratch.data();
  const int64_t scratch_length = static_cast<int64_t>(scratch.size());
  const bool weighted = (odd & kNoWeights) == 0;
  const auto part_of = [=](const std::vector<int32_t>& plan, int32_t column_begin,
                           int32_t column_end) {
    return blocksparse_part{
        plan.data(), static_cast<int64_t>(plan.size()), begin, end, column_begin, column_end};
  };
  const blocksparse_rows rows_x = {x_data, rows1, ld1}, rows_y = {y_data, rows2, ld2};
  blocksparse_blocks blocks = {w_data,
                               nullptr,
                               stride1,
                               stride2,
                               block_ld,
                               0,
                               0,
                               blocks1,
                               blocks2,
                               size1,
                               size2,
                               BLOCKSPARSE_FLOAT32,
                               transposed ? 1 : 0};
  switch (kind & 7) {
    case 0: {
      const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
      std::vector<float> bias = operand(blocks2, ld2, size2);
      const blocksparse_part part = part_of(plan, part_begin, part_end);
      const blocksparse_sums sums = {
          rows_y, {weighted && accumulate == 0 ? bias.data() : nullptr, blocks2, ld2}, accumulate};
      blocksparse_block_gemm_f32(isa, path, &part, &rows_x, 0, &blocks, &sums, scratch_data,
                                 scratch_length);
      break;
    }
    case 3: {
      const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
      const int32_t type = kind >> 3;
      const int32_t round_a = type == BLOCKSPARSE_BFLOAT16 ? path : 0;
      std::vector<char> typed(w.size() * bytes_of(type), 1);
      const int32_t columns = transposed ? size1 : size2;
      const std::vector<float> scales =
          operand(positive(blocks1) * positive(blocks2), columns, columns);
      blocks.data = w_data == nullptr ? nullptr : typed.data();
      blocks.scales = weighted == (type == BLOCKSPARSE_INT8) ? scales.data() : nullptr;
      blocks.scales_in_stride = positive(columns) * positive(blocks2);
      blocks.scales_out_stride = positive(columns);
      blocks.type = type;
      const blocksparse_part part = part_of(plan, part_begin, part_end);
      const blocksparse_sums sums = {rows_y, {nullptr, 0, 0}, accumulate};
      blocksparse_block_gemm_f32(isa, path, &part, &rows_x, round_a, &blocks, &sums, scratch_data,
                                 scratch_length);
      break;
    }
    case 1: {
      const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_OUTER_SCHEDULE);
      const blocksparse_part part = part_of(plan, part_begin, part_end);
      blocksparse_block_outer_f32(isa, path, &part, 0.5f, &rows_x, &rows_y, accumulate, &blocks,
                                  scratch_data, scratch_length);
      const std::vector<int32_t> one = {
          BLOCKSPARSE_GEMM_SCHEDULE, 1, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0};
      const blocksparse_part gradient = {one.data(), static_cast<int64_t>(one.size()), 0, 1, 0,
                                         size1};
      std::vector<float> sums = operand(rows1, ld1, size1);
      const blocksparse_sums to = {{sums.data(), rows1, ld1}, {nullptr, 0, 0}, accumulate};
      blocksparse_block_descent_f32(isa, path, &gradient, &part, &rows_x, &rows_y, 0.5f, &blocks,
                                    &to, scratch_data, scratch_length);
      break;
    }
    case 2: {
      const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
      const std::vector<int32_t> valid(static_cast<std::size_t>(positive(blocks2)), part_begin);
      const std::vector<int32_t> target(static_cast<std::size_t>(positive(rows2)), part_end);
      const std::vector<float> weights(target.size(), 0.5f);
      const std::vector<float> prior(static_cast<std::size_t>(positive(size2)), 0.5f);
      std::vector<float> nll(target.size());
      std::vector<float> sums = operand(blocks2, ld2, size2);
      const blocksparse_part part = part_of(plan, 0, size2);
      const float* const factors = weighted ? weights.data() : nullptr;
      blocksparse_block_probabilities_f32(isa, BLOCKSPARSE_SOFTMAX, accumulate, &part, valid.data(),
                                          blocks2, factors, &rows_y);
      const blocksparse_targets single = {
          nullptr, target.data(), factors, weighted ? prior.data() : nullptr, 0, 0.1f};
      blocksparse_block_cross_entropy_f32(isa, BLOCKSPARSE_SOFTMAX, &part, valid.data(), blocks2,
                                          &single, nll.data(), &rows_y);
      const blocksparse_rows rows_sums = {sums.data(), blocks2, ld2};
      blocksparse_block_sum_f32(isa, &part, 1.0f, &rows_y, &rows_sums);
      blocksparse_block_probabilities_f32(isa, BLOCKSPARSE_LOGISTIC, accumulate, &part,
                                          valid.data(), blocks2, factors, &rows_y);
      // The schedule's own numbers, as lists of positives: valid ones and invalid ones.
      std::vector<int32_t> starts = plan;
      starts.resize(starts.size() > target.size() + 1 ? starts.size() : target.size() + 2);
      const blocksparse_targets lists = {
          starts.data() + 1, (odd & kNullX) != 0 ? nullptr : plan.data() + 1, factors,
          nullptr,           static_cast<int32_t>(plan.size()) - 1,           0.0f};
      blocksparse_block_cross_entropy_f32(isa, BLOCKSPARSE_LOGISTIC, &part, valid.data(), blocks2,
                                          &lists, w_data == nullptr ? nullptr : nll.data(),
                                          &rows_y);
      break;
    }
    case 4: {
      std::vector<int32_t> list = in.rest(0);
      const std::size_t bags = static_cast<std::size_t>(positive(blocks1));
      list.resize(list.size() > bags ? list.size() : bags + 1);
      const auto middle = list.begin() + static_cast<std::ptrdiff_t>(bags) + 1;
      const std::vector<int32_t> offsets(list.begin(), middle), indices(middle, list.end());
      const int32_t entries = static_cast<int32_t>(indices.size());
      const std::vector<float> factors(indices.size(), 0.5f);
      const float* const values = weighted ? factors.data() : nullptr;
      std::vector<float> dots = factors, c = operand(blocks1, ld1, size1);
      const int32_t type = kind >> 3;
      const std::vector<char> typed(x.size() * bytes_of(type), 1);
      const std::vector<float> scales(static_cast<std::size_t>(positive(rows1)), 0.5f);
      const void* const rows = x_data == nullptr ? nullptr : typed.data();
      const float* const scales_data =
          weighted == (type == BLOCKSPARSE_INT8) ? scales.data() : nullptr;
      const blocksparse_bags all = {offsets.data(), indices.data(), values, blocks1, entries};
      const blocksparse_table a = {rows, scales_data, rows1, ld1, size1, type};
      const blocksparse_rows rows_c = {c.data(), blocks1, ld1};
      blocksparse_bag_sum_f32(isa, path, &all, begin, end, &a, &rows_c);
      blocksparse_bag_dot_f32(isa, path, &all, begin, end, &a, &rows_c, dots.data());
      const std::vector<int32_t> targets(bags, part_begin), steps(bags, part_end);
      std::vector<float> table = operand(rows2, size1, size1), m = table, v = table;
      float* const to = w_data == nullptr ? nullptr : table.data();
      for (int32_t rule = -1; rule <= BLOCKSPARSE_ADAM; ++rule) {
        const blocksparse_optimizer optimizer = {rule, 0.1f, 0.1f, 2.0f, 0.9f, 0.999f, 1e-8f};
        const blocksparse_table floats = {x_data, nullptr, rows1, ld1, size1, BLOCKSPARSE_FLOAT32};
        const blocksparse_parameters parameters = {to, m.data(), v.data(), int64_t{rows2} * size1};
        blocksparse_bag_step_f32(isa, &optimizer, &all, begin, end, &floats, targets.data(),
                                 steps.data(), &parameters, scratch_data);
      }
      break;
    }
    case 5: {
      const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
      const bool scheduled = !transposed;
      const int32_t activation = path * 4 + (options >> 4 & 3);  // some are invalid
      const bool gated = activation >= BLOCKSPARSE_SWIGLU;
      const std::vector<float> gates(static_cast<std::size_t>(positive(rows2)), 0.5f);
      std::vector<float> grad_gates = gates;
      const bool apart = (odd & kFarApart) != 0;
      const int64_t z_size = gated ? 2 * int64_t{size2} : size2;
      const int64_t ldz = apart ? INT64_MAX : z_size + padding;
      std::vector<float> z = operand(rows2, ldz, z_size);
      std::vector<float> grad_z = z;
      float* const z_data = (odd & kNullX) != 0 ? nullptr : z.data();
      blocksparse_part part = part_of(plan, part_begin, part_end);
      part.schedule = scheduled ? plan.data() : nullptr;
      const blocksparse_activation_input from = {
          {z_data, rows2, ldz}, weighted ? gates.data() : nullptr, activation, size2};
      blocksparse_activation_f32(isa, &part, &from, &rows_y);
      const blocksparse_rows to = {w_data == nullptr ? nullptr : grad_z.data(), rows2, ldz};
      blocksparse_activation_gradient_f32(isa, &part, &from, 0.5f, &rows_y, accumulate, &to,
                                          accumulate == 0 ? nullptr : grad_gates.data());
      break;
    }
    case 6: {
      const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
      const int32_t type = kind >> 3;
      const int64_t groups = (positive(size1) + 31) / 32, panels = (positive(size2) + 15) / 16;
      const int64_t number = positive(blocks1) * positive(blocks2);
      const int64_t group_bytes = type == BLOCKSPARSE_BFLOAT16 ? 1024
                                  : type == BLOCKSPARSE_INT8   ? 512
                                  : type == BLOCKSPARSE_Q8_0   ? 544
                                  : type == BLOCKSPARSE_Q4_0   ? 288
                                  : type == BLOCKSPARSE_Q4_K   ? 288 + 64
                                  : type == BLOCKSPARSE_Q6_K   ? 416 + 32
                                  : type == BLOCKSPARSE_Q5_K   ? 352 + 64
                                  : type == BLOCKSPARSE_Q2_K   ? 192 + 64
                                  : type == BLOCKSPARSE_Q5_1   ? 384
                                  : type == BLOCKSPARSE_IQ4_NL ? 288
                                  : type == BLOCKSPARSE_IQ4_XS ? 272 + 32
                                                               : 272;
      std::vector<char> packed(static_cast<std::size_t>(number * groups * panels * group_bytes), 1);
      const std::vector<float> scales = operand(number, size2, size2);
      std::vector<float> bias = operand(blocks2, ld2, size2);
      const int32_t format = type == BLOCKSPARSE_INT8 ? 1 + accumulate
                             : type == BLOCKSPARSE_BFLOAT16
                                 ? static_cast<int32_t>(BLOCKSPARSE_ROWS_OF_BFLOAT16)
                                 : 0;
      // Larger than any format needs.
      std::vector<float> rounded(static_cast<std::size_t>(positive(rows1) * (groups * 20 + 40)),
                                 0.5f);
      void* const rounded_data = (odd & kNullScratch) != 0 ? nullptr : rounded.data();
      blocksparse_round_rows_f32(isa, format, path, rows1, size1, &rows_x, rounded_data);
      blocks.data = w_data == nullptr ? nullptr : packed.data();
      blocks.scales = weighted == (type == BLOCKSPARSE_INT8) ? scales.data() : nullptr;
      blocks.type = type;
      blocks.transposed = 0;
      const blocksparse_rows no_bias = {nullptr, 0, 0}, of_bias = {bias.data(), blocks2, ld2};
      const blocksparse_part part = part_of(plan, part_begin, part_end);
      const blocksparse_sums sums = {rows_y, accumulate == 0 && transposed ? of_bias : no_bias,
                                     accumulate};
      blocksparse_packed_gemm_f32(isa, &part, format, rounded_data, rows1, &blocks, &sums);
      const int32_t activation = path * 4 + (options >> 4 & 3);  // some are invalid
      const int32_t n = activation >= BLOCKSPARSE_SWIGLU ? size2 / 2 : size2;
      std::vector<float> to(
          static_cast<std::size_t>(positive(rows2) * ((positive(n) + 31) / 32) * 32), 0.5f);
      const std::vector<float> gates(static_cast<std::size_t>(positive(rows2)), 0.5f);
      blocksparse_packed_activation_f32(isa, &part, format, rounded_data, rows1, &blocks,
                                        transposed ? &of_bias : &no_bias, activation,
                                        weighted ? gates.data() : nullptr,
                                        y_data == nullptr ? nullptr : to.data(), rows2);
      break;
    }
    default: {
      const int64_t count = size1;
      std::vector<float> g = operand(1, 0, size1), s = g, v = g;
      blocksparse_norm_f32(isa, count, x_data == nullptr ? nullptr : g.data());
      float* const to = w_data == nullptr ? nullptr : v.data();
      std::vector<float> m = g;
      for (int32_t rule = -1; rule <= BLOCKSPARSE_ADAM; ++rule) {
        const blocksparse_optimizer optimizer = {rule, 0.1f, 0.1f, 2.0f, 0.9f, 0.999f, 1e-8f};
        const blocksparse_parameters parameters = {to, m.data(), s.data(), count};
        blocksparse_step_f32(isa, &optimizer, 1.0f, begin, g.data(), &parameters);
      }
      // A sparse row and sparse weights, whose lists follow each other in the input.
      const std::vector<int32_t> begins = in.list(int64_t{blocks1} + 1);
      const std::vector<int32_t> chunks = in.list(blocks2), starts = in.list(int64_t{blocks2} + 1);
      const std::vector<int32_t> indices = in.list(rows1);
      const std::vector<float> values(indices.size(), 0.5f);
      const int32_t type = kind >> 3, w_count = size1, n = size2 + 176 * accumulate;
      const std::vector<uint8_t> columns(static_cast<std::size_t>(positive(w_count)),
                                         static_cast<uint8_t>(part_begin));
      const std::vector<char> weights(columns.size() * bytes_of(type), 1);
      const std::vector<float> bias = operand(1, 0, n);
      std::vector<float> c = bias;
      const int32_t offsets[] = {0, rows1};
      const blocksparse_bags bags = {offsets, (odd & kNullX) != 0 ? nullptr : indices.data(),
                                     weighted ? values.data() : nullptr, 1, rows1};
      const blocksparse_sparse_weights sparse = {(odd & kNullY) != 0 ? nullptr : begins.data(),
                                                 chunks.data(),
                                                 starts.data(),
                                                 columns.data(),
                                                 w_data == nullptr ? nullptr : weights.data(),
                                                 blocks1,
                                                 blocks2,
                                                 w_count,
                                                 type};
      blocksparse_sparse_chunk_f32(&bags, 0, &sparse, begin, bias.data(), n, c.data());
      break;
    }
  }
  return 0;
}
