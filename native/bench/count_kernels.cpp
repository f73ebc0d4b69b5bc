// SPDX-License-Identifier: Apache-2.0
// One call of each kernel on fixed inputs, for .ci/instructions, which counts the instructions that
// the library executes.
//   count_kernels ISA KERNEL
//   count_kernels   prints the names of the kernels
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "blocksparse/blocksparse.h"

namespace {

using floats = std::vector<float>;
using index_list = std::vector<int32_t>;

// Small integers from 1 on: no denormals, and no overflow.
floats numbers(int32_t count) {
  floats values(static_cast<std::size_t>(count));
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>((state >> 29) + 1);
  }
  return values;
}

int32_t count_of(const index_list& list) { return static_cast<int32_t>(list.size()); }

void append(index_list& to, std::initializer_list<const index_list*> parts) {
  for (const index_list* part : parts) {
    to.insert(to.end(), part->begin(), part->end());
  }
}

// The blocks of a grid, each of which multiplies that many rows.
struct sizes {
  int32_t read_blocks, write_blocks, rows, m, n;

  // Returns a schedule with a chunk of `rows` rows for each written block, each the sum of one row
  // for each read block.
  index_list gemm_schedule() const {
    index_list write_block, row_start{0}, segment_start{0}, read_block, pair_start{0}, row,
        pair_read, pair_write;
    for (int32_t j = 0; j < write_blocks; ++j) {
      write_block.push_back(j);
      for (int32_t r = 0; r < rows; ++r) {
        row.push_back(j * rows + r);
      }
      row_start.push_back(count_of(row));
      for (int32_t i = 0; i < read_blocks; ++i) {
        read_block.push_back(i);
        for (int32_t r = 0; r < rows; ++r) {
          pair_read.push_back(i * rows + r);
          pair_write.push_back(r);
        }
        pair_start.push_back(count_of(pair_read));
      }
      segment_start.push_back(count_of(read_block));
    }
    index_list packed{BLOCKSPARSE_GEMM_SCHEDULE, count_of(write_block), count_of(read_block),
                      count_of(row), count_of(pair_read)};
    append(packed, {&write_block, &row_start, &segment_start, &read_block, &pair_start, &row,
                    &pair_read, &pair_write});
    return packed;
  }

  index_list outer_schedule() const {
    index_list x_block, y_block, pair_start{0}, pair_x, pair_y;
    for (int32_t i = 0; i < read_blocks; ++i) {
      for (int32_t j = 0; j < write_blocks; ++j) {
        x_block.push_back(i);
        y_block.push_back(j);
        for (int32_t r = 0; r < rows; ++r) {
          pair_x.push_back(i * rows + r);
          pair_y.push_back(j * rows + r);
        }
        pair_start.push_back(count_of(pair_x));
      }
    }
    index_list packed{BLOCKSPARSE_OUTER_SCHEDULE, count_of(x_block), count_of(pair_x)};
    append(packed, {&x_block, &y_block, &pair_start, &pair_x, &pair_y});
    return packed;
  }

  blocksparse_blocks blocks(float* w, int32_t in_size, int32_t out_size, bool transposed) const {
    const int32_t block = m * n;
    return {w,
            nullptr,
            block * write_blocks,
            block,
            n,
            0,
            0,
            read_blocks,
            write_blocks,
            in_size,
            out_size,
            BLOCKSPARSE_FLOAT32,
            transposed ? 1 : 0};
  }

  int32_t weights() const { return read_blocks * write_blocks * m * n; }
};

// Rows of a product: so few that it shares nothing with a larger one.
constexpr sizes kLargeBlocks = {1, 4, 25, 256, 200};
constexpr sizes kSmallBlocks = {16, 16, 2, 16, 16};

int32_t gemm(int32_t isa, const sizes& s, bool transposed) {
  const index_list schedule = s.gemm_schedule();
  const int32_t k = transposed ? s.n : s.m;
  const int32_t n = transposed ? s.m : s.n;
  floats a = numbers(s.read_blocks * s.rows * k);
  floats w = numbers(s.weights());
  floats c = numbers(s.write_blocks * s.rows * n);
  const blocksparse_part part = {schedule.data(), count_of(schedule), 0, s.write_blocks, 0, n};
  const blocksparse_rows from = {a.data(), s.read_blocks * s.rows, k};
  const blocksparse_blocks blocks = s.blocks(w.data(), k, n, transposed);
  const blocksparse_sums to = {{c.data(), s.write_blocks * s.rows, n}, {nullptr, 0, 0}, 0};
  return blocksparse_block_gemm_f32(isa, BLOCKSPARSE_PATH_TILE, &part, &from, 0, &blocks, &to,
                                    nullptr, 0);
}

int32_t outer(int32_t isa, const sizes& s) {
  const index_list schedule = s.outer_schedule();
  floats x = numbers(s.read_blocks * s.rows * s.m);
  floats y = numbers(s.write_blocks * s.rows * s.n);
  floats o = numbers(s.weights());
  const int32_t all = s.read_blocks * s.write_blocks;
  const blocksparse_part part = {schedule.data(), count_of(schedule), 0, all, 0, s.m};
  const blocksparse_rows of_x = {x.data(), s.read_blocks * s.rows, s.m},
                         of_y = {y.data(), s.write_blocks * s.rows, s.n};
  const blocksparse_blocks blocks = s.blocks(o.data(), s.m, s.n, false);
  return blocksparse_block_outer_f32(isa, BLOCKSPARSE_PATH_TILE, &part, 0.5f, &of_x, &of_y, 0,
                                     &blocks, nullptr, 0);
}

int32_t cross_entropy(int32_t isa) {
  const sizes s = {1, 8, 16, 0, 317};
  const index_list schedule = s.gemm_schedule();
  const int32_t rows = s.write_blocks * s.rows;
  index_list targets(static_cast<std::size_t>(rows), 5);
  floats c = numbers(rows * s.n);
  floats losses(static_cast<std::size_t>(rows));
  const blocksparse_part part = {schedule.data(), count_of(schedule), 0, s.write_blocks, 0, s.n};
  const blocksparse_targets single = {nullptr, targets.data(), nullptr, nullptr, 0, 0.0f};
  const blocksparse_rows logits = {c.data(), rows, s.n};
  return blocksparse_block_cross_entropy_f32(isa, BLOCKSPARSE_SOFTMAX, &part, nullptr,
                                             s.write_blocks, &single, losses.data(), &logits);
}

int32_t adagrad(int32_t isa) {
  const floats g = numbers(65'521);
  floats s = g;
  floats w = g;
  const blocksparse_optimizer optimizer = {BLOCKSPARSE_ADAGRAD, 0.1f, 0.0f, 0, 0, 0, 1e-8f};
  const blocksparse_parameters parameters = {w.data(), s.data(), nullptr,
                                             static_cast<int64_t>(w.size())};
  return blocksparse_step_f32(isa, &optimizer, 1.0f, 0, g.data(), &parameters);
}

int32_t bag_sum(int32_t isa) {
  constexpr int32_t kRows = 1000;
  constexpr int32_t kBags = 64;
  constexpr int32_t kEntries = 44;
  constexpr int32_t kFeatures = 64;
  index_list offsets, indices;
  for (int32_t bag = 0; bag <= kBags; ++bag) {
    offsets.push_back(bag * kEntries);
  }
  for (int32_t entry = 0; entry < kBags * kEntries; ++entry) {
    indices.push_back(entry * 7 % kRows);
  }
  const floats a = numbers(kRows * kFeatures);
  floats c = numbers(kBags * kFeatures);
  const blocksparse_bags bags = {offsets.data(), indices.data(), nullptr, kBags, count_of(indices)};
  const blocksparse_table table = {a.data(),  nullptr,   kRows,
                                   kFeatures, kFeatures, BLOCKSPARSE_FLOAT32};
  const blocksparse_rows sums = {c.data(), kBags, kFeatures};
  return blocksparse_bag_sum_f32(isa, BLOCKSPARSE_BAG_MEAN, &bags, 0, kBags, &table, &sums);
}

struct kernel {
  const char* name;
  std::function<int32_t(int32_t isa)> run;
};

const kernel kKernels[] = {
    {"product", [](int32_t isa) { return gemm(isa, kLargeBlocks, false); }},
    {"product-small", [](int32_t isa) { return gemm(isa, kSmallBlocks, false); }},
    {"transposed", [](int32_t isa) { return gemm(isa, kLargeBlocks, true); }},
    {"transposed-small", [](int32_t isa) { return gemm(isa, kSmallBlocks, true); }},
    {"outer", [](int32_t isa) { return outer(isa, kLargeBlocks); }},
    {"outer-small", [](int32_t isa) { return outer(isa, kSmallBlocks); }},
    {"cross-entropy", cross_entropy},
    {"adagrad", adagrad},
    {"bag-sum", bag_sum},
};

}  // namespace

int main(int argc, char** argv) {
  for (const kernel& k : kKernels) {
    if (argc == 1) {
      std::printf("%s\n", k.name);
    } else if (argc == 3 && std::strcmp(argv[2], k.name) == 0) {
      for (int32_t isa = 0; blocksparse_isa_name(isa) != nullptr; ++isa) {
        if (std::strcmp(argv[1], blocksparse_isa_name(isa)) == 0) {
          const int32_t status = k.run(isa);
          std::printf("%s\n", blocksparse_status_name(status));
          return status == BLOCKSPARSE_OK ? 0 : 1;
        }
      }
    }
  }
  return argc == 1 ? 0 : 2;
}
